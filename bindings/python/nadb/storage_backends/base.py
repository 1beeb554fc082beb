"""What a storage is: values by path, and what it says of itself."""
from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

from .. import records
from ..table import Table

# Values of more bytes than this are compressed.
COMPRESS_MIN_SIZE = 1024
COMPRESS_LEVEL = 6
_COMPRESSED = b"CMP:"


@dataclass
class BackendCapabilities:
    """What a backend can do, and how it likes to be written to."""
    supports_buffering: bool = True
    supports_native_ttl: bool = False
    supports_transactions: bool = False
    supports_metadata: bool = False
    supports_atomic_writes: bool = True
    write_strategy: str = "auto"
    """immediate, buffered, or auto"""
    is_distributed: bool = False
    is_persistent: bool = True
    supports_compression: bool = True
    supports_native_queries: bool = False
    max_value_size_bytes: Optional[int] = None
    """None: no limit"""


class StorageBackend(ABC):
    """Where a KeyValueStore has its rows; also values by path.

    The paths of the stores that use the storage (`db/namespace/key`) lead to
    their rows. What other paths lead to is the backend's own.
    """

    name = ""
    """The backend, as the option of CREATE VIRTUAL TABLE has it."""

    def __init__(self) -> None:
        self._stores: Dict[Tuple[str, str], Table] = {}

    # --- for KeyValueStore ---

    @abstractmethod
    def table_options(self) -> Dict[str, Any]:
        """The options of CREATE VIRTUAL TABLE that say where the rows are."""

    def attach(self, db: str, namespace: str, table: Table) -> None:
        """From now on the paths of this store lead to the table's rows."""
        self._stores[db, namespace] = table

    def has_store(self, db: str, namespace: Optional[str]) -> bool:
        """Whether a store of these names was attached."""
        return (db, namespace) in self._stores

    def _row_of(self, path: str) -> Optional[Tuple[Table, str]]:
        """The table and the key of a path of a store, or None."""
        for (db, namespace), table in list(self._stores.items()):
            prefix = records.path_of(db, namespace, "")
            if path.startswith(prefix) and len(path) > len(prefix):
                return table, path[len(prefix):]
        return None

    # --- values by path ---

    @abstractmethod
    def get_capabilities(self) -> BackendCapabilities:
        """What the backend can do."""

    @abstractmethod
    def write_data(self, relative_path: str, data: bytes) -> bool:
        """Writes the value at the path; True."""

    @abstractmethod
    def read_data(self, relative_path: str) -> Optional[bytes]:
        """The value at the path, or None."""

    @abstractmethod
    def delete_file(self, relative_path: str) -> bool:
        """Removes the value at the path, if there is one; True."""

    @abstractmethod
    def file_exists(self, relative_path: str) -> bool:
        """Whether there is a value at the path."""

    @abstractmethod
    def get_file_size(self, relative_path: str) -> int:
        """The bytes that the value takes as it is stored; 0 if it is not."""

    @abstractmethod
    def get_full_path(self, relative_path: str) -> str:
        """The path as it is in the backend."""

    @abstractmethod
    def ensure_directory_exists(self, path: str) -> bool:
        """Makes what a value at the path needs; whether it is there."""

    def close_connections(self) -> None:
        """Closes the connections; they are opened again when needed."""
        for table in list(self._stores.values()):
            table.close()

    # --- compression, for values that the caller keeps ---

    def compress_data(self, data: bytes, compression_enabled: bool) -> bytes:
        """`data`, or where it is long and may be compressed, CMP: and a
        stream of zlib. Rows are compressed by the table; this is for others.
        """
        if not compression_enabled or len(data) <= COMPRESS_MIN_SIZE:
            return data
        return _COMPRESSED + zlib.compress(data, COMPRESS_LEVEL)

    def decompress_data(self, data: bytes) -> bytes:
        """What `compress_data` was given."""
        if not self._is_compressed(data):
            return data
        return zlib.decompress(data[len(_COMPRESSED):])

    def _is_compressed(self, data: bytes) -> bool:
        return data.startswith(_COMPRESSED)

    # --- metadata of the stores that use the storage ---

    def _table_of(self, db: str, namespace: str) -> Table:
        table = self._stores.get((db, namespace))
        if table is None:
            raise ValueError(
                f"no KeyValueStore of db {db!r} and namespace {namespace!r} "
                "uses this storage")
        return table

    def get_metadata(self, key: str, db: str, namespace: str
                     ) -> Optional[Dict[str, Any]]:
        """The metadata of a key, or None."""
        row = self._table_of(db, namespace).row(
            f"SELECT {records.COLUMNS} FROM store WHERE key = ?", (key,))
        return None if row is None else \
            records.metadata_of(row, db, namespace)

    def set_metadata(self, metadata: Dict[str, Any]) -> bool:
        """Changes the ttl and the tags of a row; whether there is one.

        Tags stay when the metadata has none; sizes and times are the store's.
        """
        tags = records.tags_json(metadata.get("tags"))
        table = self._table_of(metadata["db"], metadata["namespace"])
        return table.change(
            "UPDATE store SET ttl = ?, tags = coalesce(?, tags) WHERE key = ?",
            (metadata.get("ttl"), tags, metadata["key"])) > 0

    def delete_metadata(self, key: str, db: str, namespace: str) -> bool:
        """Removes the row, of which the metadata is a part; True."""
        self._table_of(db, namespace).change(
            "DELETE FROM store WHERE key = ?", (key,))
        return True

    def query_metadata(self, query: Dict[str, Any]) -> List[Dict[str, Any]]:
        """The metadata of the rows that fit (records.query_terms).

        Raises:
            ValueError: no store of its `db` and `namespace` uses the storage,
                or it asks for what no query can.
        """
        db, namespace = query.get("db", ""), query.get("namespace", "")
        table = self._table_of(db, namespace)
        terms, parameters = records.query_terms(query)
        where = " WHERE " + " AND ".join(terms) if terms else ""
        rows = table.rows(
            f"SELECT {records.COLUMNS} FROM store{where} ORDER BY key",
            parameters)
        return [records.metadata_of(row, db, namespace) for row in rows]


class RowStorage(StorageBackend):
    """The methods that are the same for every path that leads to a row."""

    @abstractmethod
    def _place(self, path: str) -> Tuple[Table, str]:
        """The table and the key of any path."""

    def write_data(self, relative_path: str, data: bytes) -> bool:
        table, key = self._place(relative_path)
        write_row(table, key, data)
        return True

    def read_data(self, relative_path: str) -> Optional[bytes]:
        table, key = self._place(relative_path)
        return read_row(table, key)

    def delete_file(self, relative_path: str) -> bool:
        table, key = self._place(relative_path)
        table.change("DELETE FROM store WHERE key = ?", (key,))
        return True

    def file_exists(self, relative_path: str) -> bool:
        table, key = self._place(relative_path)
        return row_size(table, key) is not None

    def get_file_size(self, relative_path: str) -> int:
        table, key = self._place(relative_path)
        return row_size(table, key) or 0


def write_row(table: Table, key: str, data: bytes) -> None:
    """Writes a value; tags and ttl of the row stay."""
    if not table.change("UPDATE store SET value = ? WHERE key = ?",
                        (data, key)):
        table.change("INSERT OR REPLACE INTO store(key, value) VALUES(?, ?)",
                     (key, data))


def read_row(table: Table, key: str) -> Optional[bytes]:
    """The value, or None."""
    row = table.row("SELECT value FROM store WHERE key = ?", (key,))
    return None if row is None else records.as_bytes(row[0])


def row_size(table: Table, key: str) -> Optional[int]:
    """The bytes of the stored value, or None."""
    return table.value("SELECT stored_size FROM store WHERE key = ?", (key,))
