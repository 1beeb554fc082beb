"""nadb, a key-value store as a virtual table of SQLite.

In SQL, with any connection of sqlite3 or APSW:

    import sqlite3, nadb
    db = sqlite3.connect("app.db")
    nadb.load(db)              # each connection that uses its tables
    db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS kv USING nadb")

Or as objects, with the interface of the Python NADB 2.2:

    from nadb import KeyValueStore, KeyValueSync
    sync = KeyValueSync(flush_interval_seconds=5)
    sync.start()
    store = KeyValueStore("data", "app", 1, "prod", sync)
    store.set("user:1", b"ann", tags=["user"])

docs/python.md describes both.
"""
from importlib import import_module
from typing import Any

from .library import load, loadable_path

# Where the names of the package come from. They are imported when they are
# first used: a program that only loads the library pays for none of them.
_HOMES = {
    "KeyValueStore": "store",
    "KeyValueSync": "sync",
    "KeyValueMetadata": "metadata",
    "PerformanceMetrics": "metrics",
    "LoggingConfig": "logging_config",
    "StructuredFormatter": "logging_config",
    "PerformanceLogger": "logging_config",
    "TransactionManager": "transaction",
    "Transaction": "transaction",
    "BackupManager": "backup_manager",
    "BackupMetadata": "backup_manager",
    "IndexManager": "index_manager",
    "QueryOperator": "index_manager",
    "QueryCondition": "index_manager",
    "QueryResult": "index_manager",
    "StorageFactory": "storage_backends",
    "StorageBackend": "storage_backends",
    "BackendCapabilities": "storage_backends",
}

__all__ = ["load", "loadable_path", *_HOMES]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from .library import version
        value = version()
    elif name in _HOMES:
        from . import old_names  # noqa: F401 - `import logging_config` works
        value = getattr(import_module("." + _HOMES[name], __name__), name)
    else:
        raise AttributeError(f"module 'nadb' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> "list[str]":
    return sorted([*globals(), *_HOMES, "__version__"])
