"""Takes the rows over that the Python NADB has left in a data folder.

Its stores are a file <db>_meta.db, and a file for each value. Opening a
KeyValueStore of the same folder, db and namespace imports them once; the old
files are only read. <db>_meta.db.imported says what was imported.
"""
from __future__ import annotations

import fcntl
import json
import logging
import os
import sqlite3
import zlib
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import (Any, Callable, Dict, Iterable, Iterator, List, Optional,
                    TextIO, Tuple)

from . import records
from .table import Table

_logger = logging.getLogger("nadb.moving_in")

# "CMP:" and the first bytes of a stream of zlib at level 6.
_COMPRESSED = b"CMP:\x78\x9c"
Row = Tuple[Any, ...]


def write_rows(table: Table, rows: Callable[[], Iterable[Row]],
               replace: bool = True,
               first: Optional[Callable[[sqlite3.Connection], None]] = None
               ) -> int:
    """Writes rows (key, value, tags as JSON, created_at, updated_at,
    expires_at) in one transaction; how many it wrote.

    Args:
        rows: is called for each attempt.
        replace: rows that are there are replaced, and else left alone.
        first: what is done first in the transaction.
    """
    def work(connection: sqlite3.Connection) -> int:
        if first is not None:
            first(connection)
        return connection.executemany(
            f"INSERT OR {'REPLACE' if replace else 'IGNORE'} INTO store("
            "key, value, tags, created_at, updated_at, expires_at) "
            "VALUES(?, ?, ?, ?, ?, ?)", rows()).rowcount
    return table.transaction(work)


def import_old_store(table: Table, folder: str, db: str, namespace: str
                     ) -> int:
    """Imports an old store, unless it was imported before.

    Returns:
        The number of rows; 0 where there is no old store.

    Raises:
        OSError: a file cannot be read.
        sqlite3.Error: <db>_meta.db is no database, or the store is not
            writable.
    """
    old = os.path.join(folder, f"{db}_meta.db")
    if not os.path.isfile(old):
        return 0
    with _imported(old + ".imported") as (done, remember):
        if namespace in done:
            return 0
        left_out: Dict[str, str] = {}
        entries = _entries(old, db, namespace)
        count = write_rows(
            table, lambda: _rows(entries, folder, left_out), replace=False)
        table.value("SELECT nadb_flush('store')")
        remember(namespace, {"at": datetime.now().isoformat(), "rows": count,
                             "left_out": left_out})
    if entries:
        _logger.info("imported %d rows of %s, namespace %s", count, old,
                     namespace)
    for key, reason in left_out.items():
        _logger.warning("%s: %r was not imported: %s", old, key, reason)
    return count


@contextmanager
def _imported(path: str) -> Iterator[Tuple[Dict[str, Any], Callable]]:
    """The namespaces that were imported, and a function that adds one; for
    one process at a time."""
    with open(path, "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = _read(file)

        def remember(namespace: str, what: Dict[str, Any]) -> None:
            done[namespace] = what
            file.seek(0)
            file.truncate()
            json.dump(done, file, indent=1)
            file.flush()
            os.fsync(file.fileno())

        yield done, remember


def _read(file: TextIO) -> Dict[str, Any]:
    """What the file says. A process that was killed when it wrote has left
    half of it; then all is imported again, which changes no row."""
    file.seek(0)
    try:
        return json.load(file)
    except ValueError:
        return {}


def _entries(old: str, db: str, namespace: str) -> List[Dict[str, Any]]:
    """The metadata of an old store, with its tags."""
    # The file is only read, but not with mode=ro: a journal that a crash has
    # left beside it must be played back first.
    connection = sqlite3.connect(old)
    try:
        connection.execute("PRAGMA query_only = on")
        cursor = connection.execute(
            "SELECT key, path, created_at, last_updated, ttl, "
            "(SELECT json_group_array(tag_name) FROM metadata_tags JOIN tags "
            "ON tags.id = tag_id WHERE metadata_id = metadata.id "
            "AND tag_name <> '') AS tags FROM metadata "
            "WHERE db = ? AND namespace = ? ORDER BY key", (db, namespace))
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor]
    finally:
        connection.close()


def _rows(entries: List[Dict[str, Any]], folder: str,
          left_out: Dict[str, str]) -> Iterator[Row]:
    """The rows of an old store; `left_out` gets what has none, and why."""
    now = datetime.now()
    for entry in entries:
        expires = None
        if entry["ttl"] is not None and entry["last_updated"]:
            updated = datetime.fromisoformat(entry["last_updated"])
            expires = updated + timedelta(seconds=entry["ttl"])
            if expires <= now:
                continue
        try:
            value = _value(folder, entry["path"])
        except (OSError, ValueError, zlib.error) as error:
            left_out[entry["key"]] = str(error)
            continue
        created, updated_at, expires_at = (
            None if not moment else records.unix_time(moment) for moment in
            (entry["created_at"], entry["last_updated"], expires))
        yield (entry["key"], value, entry["tags"], created, updated_at,
               expires_at)


def _value(folder: str, path: str) -> bytes:
    """The value in an old store's file.

    Raises:
        OSError: it cannot be read; it was never flushed when it is missing.
        ValueError: it is not in the folder.
    """
    base = os.path.realpath(folder)
    full = os.path.realpath(os.path.join(base, path))
    if not full.startswith(base.rstrip(os.sep) + os.sep):
        raise ValueError(f"its file {path} is outside of the folder")
    with open(full, "rb") as file:
        data = file.read()
    if data.startswith(_COMPRESSED):
        try:
            return zlib.decompress(data[4:])
        except zlib.error:
            if len(data) > 1024:  # shorter values were written as they are
                raise
    return data
