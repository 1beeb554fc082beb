"""Logging of stores by Python's `logging`, as lines of JSON.

Nothing is written, and no file is made, before LoggingConfig.setup_logging()
is called. What the library itself logs is another log: docs/logs.md.
"""
from __future__ import annotations

import copy
import json
import logging
import logging.config
import logging.handlers
import os
import time
from datetime import datetime, timezone
from typing import Any, Dict, Optional

from . import forks

# What every record has; anything else came by `extra`.
_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message", "asctime", "taskName"}


class StructuredFormatter(logging.Formatter):
    """Makes a line of JSON of a record: timestamp (UTC), level, logger,
    message, module, function, line, thread_id, exception where there is one,
    and all that came by `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        entry: Dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(
                record.created, timezone.utc).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "module": record.module,
            "function": record.funcName,
            "line": record.lineno,
            "thread_id": record.thread,
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        for name, value in record.__dict__.items():
            if name not in _OWN and not name.startswith("_"):
                entry[name] = value
        return json.dumps(entry, default=str)


def _extra(fields: Dict[str, Any]) -> Dict[str, Any]:
    """`fields` for logging, which refuses the names that a record has."""
    return {name + "_" if name in _OWN else name: value
            for name, value in fields.items()}


class PerformanceLogger:
    """Logs operations with their durations, and metrics.

    Args:
        logger_name: of the logger that it writes to.
    """

    def __init__(self, logger_name: str) -> None:
        self.logger = logging.getLogger(logger_name)
        self._started: Dict[str, Any] = {}
        self._lock = forks.lock()

    def start_operation(self, operation_id: str, operation_type: str,
                        **kwargs: Any) -> None:
        """An operation begins; its fields are logged when it ends."""
        with self._lock:
            self._started[operation_id] = (time.perf_counter(),
                                           operation_type, kwargs)

    def end_operation(self, operation_id: str, success: bool = True,
                      **kwargs: Any) -> None:
        """It ends: logs operation, duration_ms, success and all fields."""
        with self._lock:
            started = self._started.pop(operation_id, None)
        if started is None:
            self.logger.warning("operation %s ends and was not started",
                                operation_id)
            return
        start, operation, fields = started
        self.log_operation(operation, (time.perf_counter() - start) * 1000,
                           success, {**fields, **kwargs})

    def log_operation(self, operation: str, duration_ms: float,
                      success: bool, fields: Dict[str, Any]) -> None:
        """Logs an operation that has ended, at INFO; at ERROR one that has
        failed."""
        self.logger.log(
            logging.INFO if success else logging.ERROR,
            "Operation %s %s", operation,
            "completed" if success else "failed",
            extra=_extra({**fields, "operation": operation,
                          "duration_ms": round(duration_ms, 3),
                          "success": success}))

    def log_metric(self, metric_name: str, value: Any, **kwargs: Any) -> None:
        """Logs a value by name."""
        self.logger.info("Metric: %s = %s", metric_name, value,
                         extra=_extra({**kwargs, "metric": metric_name,
                                       "value": value}))


def _logger(*handlers: str) -> Dict[str, Any]:
    return {"level": "INFO", "handlers": list(handlers), "propagate": False}


class LoggingConfig:
    """Where logs go, and loggers by component."""

    DEFAULT_CONFIG: Dict[str, Any] = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {"()": StructuredFormatter},
            "simple": {
                "format": "%(asctime)s [%(levelname)s] %(name)s: %(message)s"},
        },
        "handlers": {
            "console": {"class": "logging.StreamHandler",
                        "formatter": "simple", "level": "INFO"},
            "file": {"class": "logging.handlers.RotatingFileHandler",
                     "filename": "nadb.log", "maxBytes": 10 * 1024 * 1024,
                     "backupCount": 5, "formatter": "structured",
                     "level": "DEBUG"},
        },
        "loggers": {
            "nadb": _logger("console", "file"),
            "nadb.storage": _logger("file"),
            "nadb.metadata": _logger("file"),
            "nadb.sync": _logger("file"),
            "nadb.performance": _logger("file"),
        },
        "root": {"level": "WARNING", "handlers": ["console"]},
    }

    storage_perf = PerformanceLogger("nadb.performance.storage")
    metadata_perf = PerformanceLogger("nadb.performance.metadata")
    sync_perf = PerformanceLogger("nadb.performance.sync")

    @classmethod
    def setup_logging(cls, config: Optional[Dict[str, Any]] = None,
                      log_dir: str = "./logs") -> None:
        """Sets logging up.

        Args:
            config: as for logging.config.dictConfig; DEFAULT_CONFIG if None.
            log_dir: the folder, made if it is missing, of nadb.log, to which
                the handler `file` of the configuration writes.
        """
        config = copy.deepcopy(cls.DEFAULT_CONFIG if config is None
                               else config)
        os.makedirs(log_dir, exist_ok=True)
        if "file" in config.get("handlers", {}):
            config["handlers"]["file"]["filename"] = os.path.join(log_dir,
                                                                  "nadb.log")
        logging.config.dictConfig(config)

    @classmethod
    def get_logger(cls, name: str) -> logging.Logger:
        """The logger of a component: nadb.<name>."""
        return logging.getLogger(f"nadb.{name}")

    @classmethod
    def get_performance_logger(cls, component: str) -> PerformanceLogger:
        """That for the operations of a component: nadb.performance.<name>."""
        return {"storage": cls.storage_perf, "metadata": cls.metadata_perf,
                "sync": cls.sync_perf}.get(component) or \
            PerformanceLogger(f"nadb.performance.{component}")
