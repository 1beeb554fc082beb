"""KeyValueStore: values by key, with tags and a time to live."""
from __future__ import annotations

import json
import logging
import os
import sqlite3
import time
from collections.abc import Mapping, MutableMapping
from typing import (Any, ContextManager, Dict, Iterator, List, Optional,
                    Sequence, Union)

from . import checks, forks, records
from .backup_manager import BackupManager, BackupMetadata
from .index_manager import (IndexManager, QueryCondition, QueryOperator,
                            QueryResult)
from .logging_config import LoggingConfig
from .metadata import StoreMetadata
from .metrics import StoreMetrics
from .moving_in import import_old_store
from .storage_backends import StorageBackend, StorageFactory
from .sync import KeyValueSync
from .table import Table
from .transaction import (Operation, Transaction, TransactionContext,
                          TransactionManager)

# The library's own rounds, where a KeyValueSync does their work: it flushes
# more often, and removes what has expired in a way that can say what it was.
_ROUNDS_SECONDS = 3600

_SET = "UPDATE store SET value = ?, ttl = ? WHERE key = ?"
_SET_TAGS = "UPDATE store SET value = ?, ttl = ?, tags = ? WHERE key = ?"
_INSERT = "INSERT INTO store(value, ttl, tags, key) VALUES(?, ?, ?, ?)"
_GET = "SELECT value FROM store WHERE key = ?"
_DELETE = "DELETE FROM store WHERE key = ?"


class _Buffer(Mapping):
    """The keys that were set since the last flush, and their values."""

    def __init__(self, store: "KeyValueStore") -> None:
        self._store = store
        self.sizes: Dict[str, int] = {}

    def __getitem__(self, key: str) -> bytes:
        if key not in self.sizes:
            raise KeyError(key)
        return self._store.get(key)

    def __contains__(self, key: object) -> bool:
        return key in self.sizes

    def __iter__(self) -> Iterator[str]:
        return iter(list(self.sizes))

    def __len__(self) -> int:
        return len(self.sizes)


class KeyValueStore(MutableMapping):
    """Values (bytes) by key (str), of a namespace of a db, for any number of
    threads and processes.

    When a method returns, what it has written is seen by all processes, and
    survives the end of this one at any instant. A power cut takes at most what
    was written since the last flush.

    A store is like a dictionary, too: store["k"] = b"v", del store["k"],
    "k" in store, len(store), for key in store, store.items().

    Args:
        data_folder_path: the folder of the stores; made if it is missing.
            Where the Python NADB has left a store in it, its rows are
            imported when it is opened for the first time.
        db: a name.
        buffer_size_mb: how much is buffered before it goes to tables, 0.01 to
            1024.
        namespace: a name; keeps equal keys of a db apart.
        sync: flushes the store at its intervals, when it runs; None: the
            library does, every second.
        compression_enabled: values of more than 1 KB are compressed.
        storage_backend: fs or redis.
        enable_transactions, enable_backup, enable_indexing: whether there are
            transactions, backups, and complex queries with a cache.
        cache_size: how many answers of queries are kept.

    Raises:
        ValueError: a name is empty, or there is no such backend.
        ConnectionError: the Redis server does not answer.
        sqlite3.Error: the store cannot be opened; the message says why.
    """

    def __init__(self, data_folder_path: Union[str, "os.PathLike[str]"],
                 db: str, buffer_size_mb: float, namespace: str,
                 sync: Optional[KeyValueSync] = None,
                 compression_enabled: bool = True, storage_backend: str = "fs",
                 enable_transactions: bool = True, enable_backup: bool = True,
                 enable_indexing: bool = True, cache_size: int = 10000
                 ) -> None:
        for what, name in (("db", db), ("namespace", namespace)):
            if not name or not isinstance(name, str):
                raise ValueError(f"{what} must be a string that is not empty, "
                                 f"not {name!r}")
        self.data_folder_path = os.fspath(data_folder_path)
        self.db = db
        self.namespace = namespace
        self.buffer_size_mb = buffer_size_mb
        self.compression_enabled = compression_enabled
        self.sync = sync
        self.logger = LoggingConfig.get_logger("keyvaluestore")
        self.perf_logger = LoggingConfig.get_performance_logger("storage")
        self.buffer = _Buffer(self)
        self.current_buffer_size = 0
        self.buffer_lock = forks.lock()
        self.storage = StorageFactory.create_storage(
            storage_backend, base_path=self.data_folder_path)
        self.metadata = StoreMetadata(self)
        self.transaction_manager = TransactionManager(self) \
            if enable_transactions else None
        self.backup_manager = BackupManager(self) if enable_backup else None
        self.index_manager = IndexManager(self, cache_size) \
            if enable_indexing else None
        self.table.row("SELECT 1 FROM store WHERE key = ''")
        if storage_backend == "fs":
            import_old_store(self.table, self.data_folder_path, db, namespace)
        if sync is not None:
            sync.register_store(self)

    # A store is itself, whatever is in it.
    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<KeyValueStore {self.name} on {self.storage_backend}>"

    def __enter__(self) -> "KeyValueStore":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    # --- where it is ---

    @property
    def storage(self) -> StorageBackend:
        """Where the rows are. Another one may be assigned: it holds from then
        on, and rows do not move."""
        return self._storage

    @storage.setter
    def storage(self, storage: StorageBackend) -> None:
        if not isinstance(storage, StorageBackend):
            raise TypeError(f"{storage!r} is no StorageBackend of nadb")
        rounds = None
        if self.sync is not None:
            rounds = _ROUNDS_SECONDS if self.sync.is_running else \
                min(max(self.sync.flush_interval, 0.01), 86400)
        table = Table({
            **storage.table_options(), "db": self.db,
            "namespace": self.namespace, "track_access": "on",
            "compression": "on" if self.compression_enabled else "off",
            "buffer_size_mb": min(max(self.buffer_size_mb, 0.01), 1024),
            "flush_interval": rounds})
        old = getattr(self, "table", None)
        self._storage = storage
        self.table = table
        self.metrics = StoreMetrics(table)
        self.capabilities = storage.get_capabilities()
        self.storage_backend = storage.name
        self.is_redis_backend = storage.name == "redis"
        self.use_buffering = self.capabilities.supports_buffering and \
            self.capabilities.write_strategy != "immediate"
        storage.attach(self.db, self.namespace, table)
        if old is not None:
            old.close()

    @property
    def name(self) -> str:
        """db:namespace"""
        return f"{self.db}:{self.namespace}"

    def _get_path(self, key: str) -> str:
        """The path of a key in the storage."""
        return records.path_of(self.db, self.namespace, key)

    # --- writing ---

    def set(self, key: str, value: bytes,
            tags: Optional[List[str]] = None) -> None:
        """Sets a value. It does not expire.

        Args:
            tags: replace the tags of the key; None: they stay.

        Raises:
            ValueError: the key or a tag is empty or too long (64 KB, 1 KB).
            TypeError: the value is not bytes, or tags are no list of strings.
        """
        checks.key(key)
        checks.value(value)
        checks.tags(tags)
        self._timed("set", key, len(value), self._write, key, value, None,
                    tags)

    def set_with_ttl(self, key: str, value: bytes, ttl_seconds: int,
                     tags: Optional[List[str]] = None) -> None:
        """Sets a value that is gone after ttl_seconds.

        Raises:
            ValueError: ttl_seconds is not a positive int; or as `set`.
            TypeError: as `set`.
        """
        checks.key(key)
        checks.value(value)
        checks.ttl(ttl_seconds)
        checks.tags(tags)
        start = time.perf_counter()
        self._timed("set_with_ttl", key, len(value), self._write, key, value,
                    ttl_seconds, tags)
        self.metrics.record_operation(
            "set_with_ttl", (time.perf_counter() - start) * 1000)

    def delete(self, key: str) -> None:
        """Deletes a key, if it is there.

        Raises:
            ValueError: the key is empty.
        """
        checks.key(key)
        self._timed("delete", key, 0, self.table.change, _DELETE, (key,))
        with self.buffer_lock:
            self.current_buffer_size -= self.buffer.sizes.pop(key, 0)

    def _timed(self, operation: str, key: str, size: int, work: Any,
               *arguments: Any) -> None:
        """Does `work`, and logs it if the log is enabled."""
        if not self.perf_logger.logger.isEnabledFor(logging.INFO):
            work(*arguments)
            return
        fields: Dict[str, Any] = {"key": key}
        if size:
            fields["data_size"] = size
        start = time.perf_counter()
        success = False
        try:
            work(*arguments)
            success = True
        except Exception as error:
            fields["error"] = str(error)
            raise
        finally:
            self.perf_logger.log_operation(
                operation, (time.perf_counter() - start) * 1000, success,
                fields)

    def _write(self, key: str, value: bytes, ttl: Optional[int],
               tags: Optional[List[str]]) -> None:
        connection = self.table.take()
        try:
            _put(connection, key, value, ttl, tags)
        except sqlite3.Error as error:
            raise checks.as_value_error(error) from error
        finally:
            self.table.give(connection)
        if self.use_buffering:
            self._note(key, len(value))

    def _note(self, key: str, size: int) -> None:
        """Remembers what was written. When that is as much as the buffer
        takes, the library writes it to tables by itself."""
        with self.buffer_lock:
            sizes = self.buffer.sizes
            self.current_buffer_size += size - sizes.get(key, 0)
            sizes[key] = size
            if self._should_flush():
                self._forget_buffer()

    def _should_flush(self) -> bool:
        most = self.buffer_size_mb * 1024 * 1024
        return self.current_buffer_size >= most or \
            len(self.buffer.sizes) * 64 >= max(most, 65536)

    def _forget_buffer(self) -> None:
        self.buffer.sizes = {}
        self.current_buffer_size = 0

    # --- reading ---

    def get(self, key: str) -> bytes:  # type: ignore[override]
        """The value.

        Raises:
            KeyError: there is no such key, or it has expired.
            ValueError: the key is empty.
        """
        checks.key(key)
        row = self.table.row(_GET, (key,))
        if row is None:
            raise KeyError(f"key {key!r} not found")
        value = row[0]
        return value if type(value) is bytes else records.as_bytes(value)

    def get_with_metadata(self, key: str) -> Dict[str, Any]:
        """`value`, and `metadata`: id, path, key, db, namespace, created_at,
        last_updated, last_accessed (ISO 8601, local time), size, ttl, tags.

        Raises:
            KeyError: there is no such key.
            ValueError: the key is empty.
        """
        checks.key(key)
        row = self.table.row(
            f"SELECT value, {records.COLUMNS} FROM store WHERE key = ?",
            (key,))
        if row is None:
            raise KeyError(f"key {key!r} not found")
        return {"value": records.as_bytes(row[0]),
                "metadata": records.metadata_of(row[1:], self.db,
                                                self.namespace)}

    def get_all_keys(self) -> List[str]:
        """All keys, in their order."""
        return [key for key, in self.table.rows(
            "SELECT key FROM store ORDER BY key")]

    # --- as a dictionary ---

    def __getitem__(self, key: str) -> bytes:
        return self.get(key)

    def __setitem__(self, key: str, value: bytes) -> None:
        self.set(key, value)

    def __delitem__(self, key: str) -> None:
        checks.key(key)
        if not self.table.change(_DELETE, (key,)):
            raise KeyError(f"key {key!r} not found")
        with self.buffer_lock:
            self.current_buffer_size -= self.buffer.sizes.pop(key, 0)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.table.row(
            "SELECT 1 FROM store WHERE key = ?", (key,)) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.get_all_keys())

    def __len__(self) -> int:
        return self.table.value("SELECT count(*) FROM store")

    def clear(self) -> None:
        """flushdb()."""
        self.flushdb()

    # --- queries ---

    def query_metadata(self, query: Dict[str, Any]) -> List[Dict[str, Any]]:
        """The metadata of the rows that fit: key (a part of the key, or a
        pattern with *), tags (all of them), min_size, max_size, and created_,
        updated_ and accessed_ with before or after."""
        return self.metadata.query_metadata(
            {"db": self.db, "namespace": self.namespace, **query})

    def query_by_tags(self, tags: List[str]) -> Dict[str, Dict[str, Any]]:
        """key -> metadata of the rows with all of the tags."""
        start = time.perf_counter()
        result = {metadata["key"]: metadata for metadata in
                  self.query_metadata({"tags": tags})}
        self.metrics.record_operation(
            "query_by_tags", (time.perf_counter() - start) * 1000)
        return result

    def query_by_tags_advanced(self, tags: List[str], operator: str = "AND",
                               page: int = 1, page_size: int = 100
                               ) -> Union[QueryResult, Dict[str, Any]]:
        """A page of the keys with all of the tags (AND) or one of them (OR):
        keys, total_count, page, page_size, has_more.

        It is a QueryResult, and without enable_indexing a dictionary.

        Raises:
            ValueError: another operator, or a page or size below 1.
        """
        kind = _operator(operator)
        if self.index_manager:
            return self.index_manager.query_by_tags(tags, kind, page,
                                                    page_size)
        result = IndexManager(self, 0).query_by_tags(tags, kind, page,
                                                     page_size)
        return {name: result[name] for name in
                ("keys", "total_count", "page", "page_size", "has_more")}

    def complex_query(self, conditions: List[Dict[str, Any]], page: int = 1,
                      page_size: int = 100) -> QueryResult:
        """A page of the keys for which all conditions hold.

        Args:
            conditions: dictionaries with field, operator ("and"), and value,
                values, or min_value and max_value: index_manager's
                QueryCondition.

        Raises:
            RuntimeError: indexing is not enabled.
            ValueError: a condition that there is not.
        """
        manager = self._enabled(self.index_manager, "indexing")
        return manager.complex_query(
            [QueryCondition(
                field=condition["field"],
                operator=_operator(condition.get("operator", "and")),
                value=condition.get("value"), values=condition.get("values"),
                min_value=condition.get("min_value"),
                max_value=condition.get("max_value"))
             for condition in conditions], page, page_size)

    def list_all_tags(self) -> Dict[str, int]:
        """tag -> how many rows have it."""
        return dict(self.table.rows(
            "SELECT tag, count FROM nadb_tags('store')"))

    # --- transactions ---

    def transaction(self, isolation_level: str = "READ_COMMITTED"
                    ) -> "ContextManager[TransactionContext]":
        """`with store.transaction() as tx`: what is done by tx.set(..),
        tx.set_with_ttl(..), tx.delete(..), tx.batch_set(..) and
        tx.batch_delete(..) is committed as a whole at the end of the block,
        or not at all when an exception leaves it.

        Raises:
            RuntimeError: transactions are not enabled.
        """
        return self._enabled(self.transaction_manager, "transactions"
                             ).transaction(isolation_level)

    def begin_transaction(self, isolation_level: str = "READ_COMMITTED"
                          ) -> Transaction:
        """A transaction, for add_operation() and commit_transaction()."""
        return self._enabled(self.transaction_manager, "transactions"
                             ).begin_transaction(isolation_level)

    def commit_transaction(self, transaction: Transaction) -> bool:
        """Commits one; True.

        Raises:
            RuntimeError: it has ended.
        """
        return self._enabled(self.transaction_manager, "transactions"
                             ).commit_transaction(transaction)

    def rollback_transaction(self, transaction: Transaction) -> bool:
        """Rolls one back; whether it had not ended."""
        return self._enabled(self.transaction_manager, "transactions"
                             ).rollback_transaction(transaction)

    def check_operation(self, operation: Operation) -> None:
        """Raises what its method would for arguments that are wrong."""
        checks.key(operation.key)
        if operation.op_type == "delete":
            return
        if operation.op_type not in ("set", "set_with_ttl"):
            raise ValueError(f"unknown operation {operation.op_type!r}: there "
                             "are 'set', 'set_with_ttl' and 'delete'")
        checks.value(operation.value)
        checks.tags(operation.tags)
        if operation.op_type == "set_with_ttl":
            checks.ttl(operation.ttl)

    def apply(self, operations: Sequence[Operation]) -> None:
        """Does all operations, in their order, or none."""
        for operation in operations:
            self.check_operation(operation)

        def work(connection: sqlite3.Connection) -> None:
            for operation in operations:
                if operation.op_type == "delete":
                    connection.execute(_DELETE, (operation.key,))
                else:
                    _put(connection, operation.key, operation.value or b"",
                         operation.ttl if operation.op_type == "set_with_ttl"
                         else None, operation.tags)
        try:
            self.table.transaction(work)
        except sqlite3.Error as error:
            raise checks.as_value_error(error) from error
        for operation in operations if self.use_buffering else ():
            if operation.op_type != "delete":
                self._note(operation.key, len(operation.value or b""))

    # --- backups ---

    def create_backup(self, backup_id: Optional[str] = None,
                      compression: bool = True) -> BackupMetadata:
        """BackupManager.create_full_backup."""
        return self._enabled(self.backup_manager, "backup"
                             ).create_full_backup(backup_id, compression)

    def create_incremental_backup(self, parent_backup_id: str,
                                  backup_id: Optional[str] = None,
                                  compression: bool = True
                                  ) -> BackupMetadata:
        """BackupManager.create_incremental_backup."""
        return self._enabled(self.backup_manager, "backup"
                             ).create_incremental_backup(
            parent_backup_id, backup_id, compression)

    def restore_backup(self, backup_id: str, verify_integrity: bool = True,
                       clear_existing: bool = False) -> bool:
        """BackupManager.restore_backup."""
        return self._enabled(self.backup_manager, "backup").restore_backup(
            backup_id, verify_integrity, clear_existing)

    def list_backups(self) -> List[BackupMetadata]:
        """BackupManager.list_backups."""
        return self._enabled(self.backup_manager, "backup").list_backups()

    def verify_backup(self, backup_id: str) -> bool:
        """BackupManager.verify_backup_integrity."""
        return self._enabled(self.backup_manager, "backup"
                             ).verify_backup_integrity(backup_id)

    # --- upkeep ---

    def flush(self) -> None:
        """What was written goes to tables, and survives a power cut when this
        returns."""
        with self.buffer_lock:
            if self.use_buffering and not self.buffer.sizes:
                return
            self._forget_buffer()
        self.table.value("SELECT nadb_flush('store')")

    def flush_if_needed(self) -> None:
        """Flushes when as much was written as the buffer takes."""
        if self._should_flush():
            self.flush()

    def flushdb(self) -> None:
        """Empties the namespace."""
        self.table.value("SELECT nadb_clear('store')")
        with self.buffer_lock:
            self._forget_buffer()

    def cleanup_expired(self) -> List[Dict[str, Any]]:
        """Removes the rows that have expired from the files, and says which:
        id, path, key, db, namespace of each that was still in them. No method
        has seen them since they expired."""
        def work(connection: sqlite3.Connection) -> List[str]:
            keys = [key for key, in connection.execute(
                "SELECT key FROM nadb_expired('store')")]
            connection.execute(
                "SELECT nadb_purge_expired('store')").fetchone()
            return keys
        keys = self.table.transaction(work)
        with self.buffer_lock:
            for key in keys:
                self.current_buffer_size -= self.buffer.sizes.pop(key, 0)
        return [records.names_of(key, self.db, self.namespace)
                for key in keys]

    def compact_storage(self) -> Dict[str, Any]:
        """Compresses what is not, and leaves no dead data in the files.

        Returns:
            total_entries; of the rows compressed, already_compressed,
            not_compressible, too_small, errors; bytes_before and bytes_after
            of the files; duration_ms. And the same by older names.
        """
        self.flush()
        start = time.perf_counter()
        recompress = self.compression_enabled
        found = json.loads(self.table.value(
            "SELECT nadb_compact('store'" +
            (", 'recompress')" if recompress else ")")))
        took = (time.perf_counter() - start) * 1000
        result: Dict[str, Any] = {name: found.get(name, 0) for name in (
            "compressed", "already_compressed", "not_compressible",
            "too_small", "errors", "bytes_before", "bytes_after")}
        total = len(self)
        if not recompress:
            result["not_compressible"] = total
        result.update(
            total_entries=total, duration_ms=took, time_taken_ms=took,
            files_processed=total - result["too_small"],
            files_compressed=result["compressed"],
            files_missing=found.get("missing", 0),
            size_before_bytes=result["bytes_before"],
            size_after_bytes=result["bytes_after"])
        return result

    def get_stats(self) -> Dict[str, Any]:
        """db, namespace, storage_backend, performance (metrics), all of
        nadb_stats (docs/metrics.md: count, size_bytes, tag_count, ..);
        index_stats, cache_stats and query_stats with indexing;
        active_transactions, of this store, with transactions."""
        stats: Dict[str, Any] = dict(self.table.rows(
            "SELECT name, value FROM nadb_stats('store')"))
        stats.setdefault("buffer_utilization_percent", 0.0)
        stats.update(db=self.db, namespace=self.namespace,
                     storage_backend=self.storage_backend,
                     performance=self.metrics.get_metrics())
        if self.index_manager:
            stats.update(
                index_stats=self.index_manager.get_index_stats(),
                cache_stats=self.index_manager.get_cache_stats(),
                query_stats=self.index_manager.get_query_stats())
        if self.transaction_manager:
            stats["active_transactions"] = len(
                self.transaction_manager.get_active_transactions())
        return stats

    def optimize_indexes(self) -> None:
        """IndexManager.optimize_indexes."""
        if self.index_manager:
            self.index_manager.optimize_indexes()

    def rebuild_indexes(self) -> None:
        """IndexManager.rebuild_indexes."""
        if self.index_manager:
            self.index_manager.rebuild_indexes()

    def clear_caches(self) -> None:
        """IndexManager.clear_caches."""
        if self.index_manager:
            self.index_manager.clear_caches()

    def close(self) -> None:
        """Flushes, rolls back what was not committed, and closes the
        connections. A method that is called later opens them again."""
        if self.sync is not None:
            self.sync.unregister_store(self)
        self.flush()
        if self.transaction_manager:
            self.transaction_manager.cleanup_stale_transactions(0)
        self.table.close()
        self.storage.close_connections()

    @staticmethod
    def _enabled(manager: Any, what: str) -> Any:
        if manager is None:
            option = {"backup": "enable_backup", "indexing": "enable_indexing"
                      }.get(what, "enable_transactions")
            raise RuntimeError(f"{what} not enabled for this store: open it "
                               f"with {option}=True")
        return manager


def _operator(name: str) -> QueryOperator:
    """The operator of a name, in any case.

    Raises:
        ValueError: there is none.
    """
    try:
        return QueryOperator(name.lower())
    except ValueError:
        known = ", ".join(operator.value for operator in QueryOperator)
        raise ValueError(f"there is no operator {name!r}: there are {known}"
                         ) from None


def _put(connection: sqlite3.Connection, key: str, value: bytes,
         ttl: Optional[int], tags: Optional[List[str]]) -> None:
    """Writes a row. created_at stays, as do tags that are None."""
    text = records.tags_json(tags)
    update = (_SET, (value, ttl, key)) if tags is None else \
        (_SET_TAGS, (value, ttl, text, key))
    while connection.execute(*update).rowcount == 0:
        try:
            connection.execute(_INSERT, (value, ttl, text, key))
            return
        except sqlite3.IntegrityError:
            continue  # another process has inserted the key meanwhile
