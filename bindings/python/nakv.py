"""The module of the Python NADB, for programs that import it: see nadb."""
from nadb.backup_manager import BackupManager
from nadb.index_manager import IndexManager, QueryOperator
from nadb.logging_config import LoggingConfig
from nadb.metadata import KeyValueMetadata
from nadb.metrics import PerformanceMetrics
from nadb.storage_backends import StorageFactory
from nadb.storage_backends.base import COMPRESS_LEVEL, COMPRESS_MIN_SIZE
from nadb.store import KeyValueStore
from nadb.sync import KeyValueSync
from nadb.transaction import TransactionManager

import nadb.old_names  # noqa: F401 - `import logging_config` works

__all__ = [
    "BackupManager", "COMPRESS_LEVEL", "COMPRESS_MIN_SIZE", "IndexManager",
    "KeyValueMetadata", "KeyValueStore", "KeyValueSync", "LoggingConfig",
    "PerformanceMetrics", "QueryOperator", "StorageFactory",
    "TransactionManager",
]
