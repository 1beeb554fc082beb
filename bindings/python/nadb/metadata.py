"""Metadata: that of a store's rows, and the files of the Python NADB."""
from __future__ import annotations

import os
import sqlite3
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from . import forks, records

if TYPE_CHECKING:
    from .store import KeyValueStore

# The tables of a file <db>_meta.db.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS metadata (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL,
    key TEXT NOT NULL, db TEXT NOT NULL, namespace TEXT NOT NULL,
    created_at DATETIME, last_updated DATETIME, last_accessed DATETIME,
    size INTEGER, ttl INTEGER, UNIQUE (path, key, db, namespace));
CREATE TABLE IF NOT EXISTS tags (
    id INTEGER PRIMARY KEY AUTOINCREMENT, tag_name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS metadata_tags (
    metadata_id INTEGER REFERENCES metadata(id) ON DELETE CASCADE,
    tag_id INTEGER REFERENCES tags(id) ON DELETE CASCADE,
    PRIMARY KEY (metadata_id, tag_id));
"""
_NAMES = ("id", "path", "key", "db", "namespace", "created_at",
          "last_updated", "last_accessed", "size", "ttl")
# Terms of WHERE by what a query asks for.
_TERMS = {"db": "db = ?", "namespace": "namespace = ?", "min_size":
          "size >= ?", "max_size": "size <= ?"}
_TERMS.update({
    f"{name}_{side}": f"{column} {'<=' if side == 'before' else '>='} ?"
    for name, column in (("created", "created_at"),
                         ("updated", "last_updated"),
                         ("accessed", "last_accessed"))
    for side in ("before", "after")})


class KeyValueMetadata:
    """A file of metadata as the Python NADB has beside its values.

    A KeyValueStore keeps metadata in its rows and needs no such file. This
    class reads and writes those that are there, and any file of that kind.

    Args:
        sqlite_db: the file.
        data_folder_path: the folder that a relative `sqlite_db` is in.
    """

    def __init__(self, sqlite_db: str, data_folder_path: str) -> None:
        self.sqlite_db = os.path.join(data_folder_path, sqlite_db)
        os.makedirs(os.path.dirname(os.path.abspath(self.sqlite_db)),
                    exist_ok=True)
        self.connection_lock = forks.lock()
        self._connection: Optional[sqlite3.Connection] = None
        self._process = os.getpid()
        with self._transaction() as connection:
            connection.executescript(_SCHEMA)

    def _transaction(self) -> "_Locked":
        return _Locked(self)

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None or self._process != os.getpid():
            self._process = os.getpid()
            self._connection = sqlite3.connect(self.sqlite_db,
                                               check_same_thread=False)
            self._connection.execute("PRAGMA foreign_keys = ON")
        return self._connection

    def set_metadata(self, metadata: Dict[str, Any]) -> None:
        """Writes the metadata of metadata["key"] of its db and namespace:
        path, size, ttl. Tags are replaced where it has some."""
        now = datetime.now().isoformat()
        values = [metadata.get(name) for name in
                  ("path", "key", "db", "namespace", "size", "ttl")]
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO metadata(path, key, db, namespace, size, ttl, "
                "created_at, last_updated, last_accessed) "
                "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                "size = excluded.size, ttl = excluded.ttl, "
                "last_updated = excluded.last_updated, "
                "last_accessed = excluded.last_accessed",
                [*values, now, now, now])
            number, = connection.execute(
                "SELECT id FROM metadata WHERE path = ? AND key = ? "
                "AND db = ? AND namespace = ?", values[:4]).fetchone()
            if metadata.get("tags"):
                self.set_tags(number, metadata["tags"])

    def set_tags(self, metadata_id: int, tags: List[str]) -> None:
        """Replaces the tags of an entry."""
        with self._transaction() as connection:
            connection.execute(
                "DELETE FROM metadata_tags WHERE metadata_id = ?",
                (metadata_id,))
            for tag in dict.fromkeys(tags):
                connection.execute(
                    "INSERT OR IGNORE INTO tags(tag_name) VALUES(?)", (tag,))
                connection.execute(
                    "INSERT INTO metadata_tags SELECT ?, id FROM tags "
                    "WHERE tag_name = ?", (metadata_id, tag))

    def get_metadata(self, key: str, db: str, namespace: str
                     ) -> Optional[Dict[str, Any]]:
        """The metadata of a key, or None; it counts as an access."""
        with self._transaction() as connection:
            found = self._select(["key = ?", "db = ?", "namespace = ?"],
                                 [key, db, namespace])
            if not found:
                return None
            connection.execute(
                "UPDATE metadata SET last_accessed = ? WHERE id = ?",
                (datetime.now().isoformat(), found[0]["id"]))
            return found[0]

    def delete_metadata(self, key: str, db: str, namespace: str) -> None:
        """Removes the metadata of a key, if there is some."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM metadata WHERE key = ? AND db = ? "
                               "AND namespace = ?", (key, db, namespace))

    def query_metadata(self, query: Dict[str, Any]) -> List[Dict[str, Any]]:
        """The metadata that fit: db, namespace, key (a part of it), tags (all
        of them), min_size, max_size, and created_, updated_ and accessed_ with
        before or after (ISO 8601 texts as the file has them)."""
        terms: List[str] = []
        values: List[Any] = []
        for name, wanted in query.items():
            if wanted is None:
                continue
            if name == "key":
                terms.append("instr(lower(key), lower(?)) > 0")
                values.append(wanted)
            elif name == "tags":
                for tag in wanted:
                    terms.append("id IN (SELECT metadata_id FROM metadata_tags"
                                 " JOIN tags ON tags.id = tag_id "
                                 "WHERE tag_name = ?)")
                    values.append(tag)
            elif name in _TERMS:
                terms.append(_TERMS[name])
                values.append(wanted)
            else:
                raise ValueError(f"a query for metadata has no '{name}'")
        with self._transaction():
            return self._select(terms, values)

    def _select(self, terms: List[str], values: List[Any]
                ) -> List[Dict[str, Any]]:
        where = " WHERE " + " AND ".join(terms) if terms else ""
        connection = self._connect()
        result = []
        for row in connection.execute(
                f"SELECT {', '.join(_NAMES)} FROM metadata{where} ORDER BY id",
                values).fetchall():
            entry = dict(zip(_NAMES, row))
            entry["tags"] = [tag for tag, in connection.execute(
                "SELECT tag_name FROM metadata_tags JOIN tags "
                "ON tags.id = tag_id WHERE metadata_id = ? ORDER BY tag_name",
                (entry["id"],))]
            result.append(entry)
        return result

    def cleanup_expired(self) -> List[Dict[str, Any]]:
        """Removes what has expired; id, path, key, db, namespace of each."""
        now = datetime.now()
        with self._transaction() as connection:
            over = [dict(zip(_NAMES[:5], row)) for *row, updated, ttl in
                    connection.execute(
                        "SELECT id, path, key, db, namespace, last_updated, "
                        "ttl FROM metadata WHERE ttl IS NOT NULL "
                        "AND last_updated IS NOT NULL")
                    if datetime.fromisoformat(updated)
                    + timedelta(seconds=ttl) <= now]
            connection.executemany("DELETE FROM metadata WHERE id = ?",
                                   [(entry["id"],) for entry in over])
            return over

    def query_tags(self, db: str, namespace: str) -> Dict[str, int]:
        """tag -> how many keys of the namespace have it."""
        with self._transaction() as connection:
            return dict(connection.execute(
                "SELECT tag_name, count(*) FROM metadata "
                "JOIN metadata_tags ON metadata_id = metadata.id "
                "JOIN tags ON tags.id = tag_id "
                "WHERE db = ? AND namespace = ? GROUP BY 1", (db, namespace)))

    def close_connections(self) -> None:
        """Closes the file; it is opened again when needed."""
        with self.connection_lock:
            if self._connection is not None and \
                    self._process == os.getpid():
                self._connection.close()
            self._connection = None


class _Locked:
    """`with`: the connection, in one thread at a time. The outermost block
    commits, or rolls back when an exception leaves it."""

    def __init__(self, metadata: KeyValueMetadata) -> None:
        self.metadata = metadata
        self.outermost = False

    def __enter__(self) -> sqlite3.Connection:
        self.metadata.connection_lock.acquire()
        try:
            connection = self.metadata._connect()
            self.outermost = not connection.in_transaction
            if self.outermost:
                connection.execute("BEGIN IMMEDIATE")
            return connection
        except BaseException:
            self.metadata.connection_lock.release()
            raise

    def __exit__(self, kind: Any, *rest: Any) -> None:
        try:
            connection = self.metadata._connect()
            if self.outermost and connection.in_transaction:
                connection.execute("ROLLBACK" if kind else "COMMIT")
        finally:
            self.metadata.connection_lock.release()


class StoreMetadata:
    """The metadata of a store's rows, with the methods of KeyValueMetadata.

    Those that change something change the rows.
    """

    def __init__(self, kv_store: "KeyValueStore") -> None:
        self.kv_store = kv_store

    def get_metadata(self, key: str, db: str, namespace: str
                     ) -> Optional[Dict[str, Any]]:
        """The metadata of a key, or None."""
        return self.kv_store.storage.get_metadata(key, db, namespace)

    def set_metadata(self, metadata: Dict[str, Any]) -> bool:
        """Changes the ttl and tags of a row; whether there is one."""
        return self.kv_store.storage.set_metadata(metadata)

    def delete_metadata(self, key: str, db: str, namespace: str) -> bool:
        """Removes a row; True."""
        return self.kv_store.storage.delete_metadata(key, db, namespace)

    def query_metadata(self, query: Dict[str, Any]) -> List[Dict[str, Any]]:
        """The metadata of the rows that fit (records.query_terms).

        Where stores are in files, those of any namespace, and without one,
        those of all namespaces of the db.
        """
        store = self.kv_store
        query = {"db": store.db, **query}
        namespace = query.get("namespace")
        if store.is_redis_backend or \
                store.storage.has_store(query["db"], namespace):
            return store.storage.query_metadata(
                {"namespace": store.namespace, **query})
        terms, values = records.query_terms(
            {**query, "tags": None}, accessed=False)
        if namespace is not None:
            terms.append("namespace = ?")
            values.append(namespace)
        path = store.storage.table_options()["path"]
        columns = records.COLUMNS.replace("accessed_at", "NULL")
        rows = store.table.rows(
            f"SELECT namespace, {columns} FROM nadb_all(?, ?) "
            f"WHERE {' AND '.join(terms) or 1} ORDER BY namespace, key",
            [path, query["db"], *values])
        wanted = set(query.get("tags") or ())
        found = (records.metadata_of(row, query["db"], namespace)
                 for namespace, *row in rows)
        return [metadata for metadata in found
                if wanted <= set(metadata["tags"])]

    def query_tags(self, db: str, namespace: str) -> Dict[str, int]:
        """tag -> how many rows have it."""
        return dict(self.kv_store.storage._table_of(db, namespace).rows(
            "SELECT tag, count FROM nadb_tags('store')"))

    def cleanup_expired(self) -> List[Dict[str, Any]]:
        """KeyValueStore.cleanup_expired."""
        return self.kv_store.cleanup_expired()

    def close_connections(self) -> None:
        """Closes the store's connections; they are opened when needed."""
        self.kv_store.table.close()
