"""Metadata on a server of keys that no KeyValueStore of the program has."""
from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any, Dict, List, Optional

from .. import records
from ..table import Table


class LooseMetadata:
    """Dictionaries with key, db and namespace, and what else they have.

    Those with a `ttl` (seconds) are gone when it is over; cleanup_expired says
    which were. So their rows have no ttl of the server.

    Args:
        table: where they are kept.
    """

    def __init__(self, table: Table) -> None:
        self.table = table

    @staticmethod
    def _name(*names: str) -> str:
        return json.dumps(names, ensure_ascii=False)[:-1]

    def set(self, metadata: Dict[str, Any]) -> bool:
        """Writes one, in the place of another of its names; True."""
        ttl = metadata.get("ttl")
        kept = {"created_at": datetime.now().isoformat(), **metadata}
        value = json.dumps(
            [None if ttl is None else time.time() + ttl, kept], default=str)
        self.table.change(
            "INSERT OR REPLACE INTO store(key, value) VALUES(?, ?)",
            (self._name(metadata["db"], metadata["namespace"],
                        metadata["key"]), value))
        return True

    def get(self, key: str, db: str, namespace: str
            ) -> Optional[Dict[str, Any]]:
        """One, or None."""
        row = self.table.row("SELECT value FROM store WHERE key = ?",
                             (self._name(db, namespace, key),))
        if row is None:
            return None
        expires, metadata = json.loads(row[0])
        return metadata if expires is None or expires > time.time() else None

    def delete(self, key: str, db: str, namespace: str) -> bool:
        """Removes one, if it is there; True."""
        self.table.change("DELETE FROM store WHERE key = ?",
                          (self._name(db, namespace, key),))
        return True

    def query(self, query: Dict[str, Any]) -> List[Dict[str, Any]]:
        """Those that fit: db, namespace, key (a part of it), tags (all of
        them), min_size, max_size, created_after, created_before."""
        begin = self._name(query["db"], query["namespace"]) + ", "
        now = time.time()
        found = (json.loads(value) for value, in self.table.rows(
            "SELECT value FROM store WHERE key >= ? AND key < ? "
            "ORDER BY key", (begin, begin + "\U0010ffff")))
        return [metadata for expires, metadata in found
                if (expires is None or expires > now)
                and _fits(metadata, query)]

    def cleanup_expired(self) -> List[Dict[str, Any]]:
        """Removes those whose time is over; key, db, namespace and path of
        each."""
        now = time.time()
        removed = []
        for name, value in self.table.rows("SELECT key, value FROM store"):
            expires, metadata = json.loads(value)
            if expires is None or expires > now:
                continue
            if self.table.change("DELETE FROM store WHERE key = ? "
                                 "AND value = ?", (name, value)):
                removed.append({
                    "key": metadata["key"], "db": metadata["db"],
                    "namespace": metadata["namespace"],
                    "path": metadata.get("path"),
                    "expired_at": records.iso_time(expires)})
        return removed


def _fits(metadata: Dict[str, Any], query: Dict[str, Any]) -> bool:
    """Whether metadata is what a query asks for."""
    created = metadata.get("created") or metadata["created_at"]
    size = metadata.get("size") or 0
    return (
        query.get("key", "") in metadata["key"]
        and set(query.get("tags") or ()) <= set(metadata.get("tags") or ())
        and size >= query.get("min_size", size)
        and size <= query.get("max_size", size)
        and created >= query.get("created_after", created)
        and created <= query.get("created_before", created))
