"""Backups that the Python NADB has made: metadata.json, and a folder for each
with data.json or data.json.gz. They are read and removed, never written."""
from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import shutil
import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from . import records
from .moving_in import write_rows
from .table import Table


@dataclass
class BackupMetadata:
    """What is known of a backup."""
    backup_id: str
    timestamp: str
    """ISO 8601, local time"""
    backup_type: str
    """full or incremental; damaged"""
    source_db: str
    source_namespace: str
    file_count: int
    """rows"""
    total_size: int
    """bytes of the values"""
    checksum: str
    """SHA-256"""
    parent_backup_id: Optional[str] = None
    compression: bool = True


class OldBackups:
    """Those of a folder.

    Args:
        folder: the one with metadata.json.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def entries(self) -> Dict[str, BackupMetadata]:
        """id -> what is known of the backup.

        Raises:
            ValueError: metadata.json is damaged.
        """
        file = self.folder / "metadata.json"
        try:
            text = file.read_text(encoding="utf-8")
        except (FileNotFoundError, IsADirectoryError):
            return {}  # or a backup of ours, which is called so
        try:
            return {name: BackupMetadata(**fields)
                    for name, fields in json.loads(text).items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{file}, the list of the backups of the Python "
                             f"NADB, is damaged: {error}") from error

    def _chain(self, backup_id: str) -> List[BackupMetadata]:
        """The backup and those it depends on, the oldest first."""
        entries = self.entries()
        chain: List[BackupMetadata] = []
        name: Optional[str] = backup_id
        while name is not None:
            if name not in entries:
                raise ValueError(f"backup {name}, on which it depends, is "
                                 "missing")
            chain.append(entries[name])
            if len(chain) > len(entries):
                raise ValueError("its parents go round in a circle")
            name = entries[name].parent_backup_id
        return chain[::-1]

    def _items(self, backup: BackupMetadata) -> List[Dict[str, Any]]:
        """The items of a backup, verified.

        Raises:
            ValueError: it is damaged.
        """
        suffix = ".gz" if backup.compression else ""
        file = self.folder / backup.backup_id / f"data.json{suffix}"
        if file.resolve().parent.parent != self.folder.resolve():
            raise ValueError(f"{file} is not in {self.folder}")
        try:
            data = file.read_bytes()
        except OSError as error:
            raise ValueError(f"{file}: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != backup.checksum:
            raise ValueError(f"{file} does not have its checksum")
        items = json.loads(gzip.decompress(data) if suffix else data)
        if len(items) != backup.file_count:
            raise ValueError(f"{file} has {len(items)} items, not "
                             f"{backup.file_count}")
        return items

    def problem(self, backup_id: str) -> Optional[str]:
        """What is wrong with a backup or its chain, or None."""
        try:
            for backup in self._chain(backup_id):
                self._items(backup)
        except (ValueError, OSError, EOFError) as error:
            return str(error)
        return None

    def restore(self, table: Table, backup_id: str, clear: bool) -> None:
        """Writes the rows of a backup and of its chain."""
        def rows() -> Iterator[Tuple[Any, ...]]:
            for backup in self._chain(backup_id):
                for item in self._items(backup):
                    yield _row(item)

        def empty(connection: sqlite3.Connection) -> None:
            connection.execute("SELECT nadb_clear('store')").fetchone()

        write_rows(table, rows, first=empty if clear else None)

    def delete(self, backup_id: str) -> None:
        """Removes a backup."""
        entries = self.entries()
        backup = entries.pop(backup_id)
        folder = self.folder / backup.backup_id
        if folder.resolve().parent == self.folder.resolve():
            shutil.rmtree(folder, ignore_errors=True)
        file = self.folder / "metadata.json"
        new = file.with_suffix(".json.new")
        with open(new, "w", encoding="utf-8") as stream:
            json.dump({name: asdict(entry) for name, entry in entries.items()},
                      stream, indent=2)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(new, file)


def _row(item: Dict[str, Any]) -> Tuple[Any, ...]:
    """An item as write_rows takes it."""
    metadata = item.get("metadata") or {}
    created, updated = (
        None if not metadata.get(name) else records.unix_time(metadata[name])
        for name in ("created_at", "last_updated"))
    if updated is None:
        updated = created
    ttl = metadata.get("ttl")
    expires = None if ttl is None or updated is None else updated + ttl
    tags = [tag for tag in item.get("tags") or () if tag]
    return (item["key"], base64.b64decode(item["value"]),
            records.tags_json(tags), created, updated, expires)
