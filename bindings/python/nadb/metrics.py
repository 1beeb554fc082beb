"""How often operations were done, and how long they took."""
from __future__ import annotations

import time
from collections import deque
from typing import Any, Deque, Dict

from . import forks
from .table import Table

# Durations that are kept of each operation, for its percentile: the last ones.
_DURATIONS_MAX = 1000


class _Operation:
    """What is known of one kind of operation."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.least = float("inf")
        self.most = 0.0
        self.last: Deque[float] = deque(maxlen=_DURATIONS_MAX)

    def add(self, duration_ms: float) -> None:
        self.count += 1
        self.total += duration_ms
        self.least = min(self.least, duration_ms)
        self.most = max(self.most, duration_ms)
        self.last.append(duration_ms)

    def summary(self) -> Dict[str, Any]:
        last = sorted(self.last)
        return {"count": self.count, "avg_ms": self.total / self.count,
                "min_ms": self.least, "max_ms": self.most,
                "p95_ms": last[int(0.95 * (len(last) - 1))]}


class PerformanceMetrics:
    """Counts operations and their durations; for any number of threads."""

    def __init__(self) -> None:
        self.bytes_read = 0
        self.bytes_written = 0
        self._operations: Dict[str, _Operation] = {}
        self._start = time.monotonic()
        self._lock = forks.lock()

    def record_operation(self, operation_name: str, duration_ms: float,
                         size_bytes: int = 0) -> None:
        """Adds an operation that has ended.

        Args:
            size_bytes: of a `get` or `read`, those that were read; of a `set`,
                `set_with_ttl` or `write`, those that were written.
        """
        with self._lock:
            operation = self._operations.get(operation_name)
            if operation is None:
                operation = self._operations[operation_name] = _Operation()
            operation.add(duration_ms)
            if operation_name in ("get", "read"):
                self.bytes_read += size_bytes
            elif operation_name in ("set", "set_with_ttl", "write"):
                self.bytes_written += size_bytes

    def get_metrics(self) -> Dict[str, Any]:
        """uptime_seconds, operations (name -> count, avg_ms, min_ms, max_ms,
        p95_ms), bytes_read, bytes_written, compression_ratio (1.0: of what is
        counted here nothing is known to be compressed).
        """
        with self._lock:
            return {
                "uptime_seconds": time.monotonic() - self._start,
                "operations": {name: operation.summary() for name, operation
                               in self._operations.items()},
                "bytes_read": self.bytes_read,
                "bytes_written": self.bytes_written,
                "compression_ratio": 1.0,
            }


# Operations of nadb_metrics by the names that they have here.
_NAMES = {"put": "set", "compact": "compact_storage", "clear": "flushdb"}


class StoreMetrics(PerformanceMetrics):
    """The metrics of a store.

    What the library counts by itself (docs/metrics.md: all that this process
    has done with the store) is asked of it, so that no operation pays for it.
    """

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.table = table

    def get_metrics(self) -> Dict[str, Any]:
        result = super().get_metrics()
        operations = result["operations"]
        for name, count, *times in self.table.rows(
                "SELECT operation, count, avg_ms, min_ms, max_ms, p95_ms "
                "FROM nadb_metrics('store') WHERE count > 0"):
            summary = dict(zip(("avg_ms", "min_ms", "max_ms", "p95_ms"),
                               (time or 0.0 for time in times)))
            operations.setdefault(_NAMES.get(name, name),
                                  {"count": count, **summary})
        stats = dict(self.table.rows(
            "SELECT name, value FROM nadb_stats('store') WHERE name IN "
            "('bytes_read', 'bytes_written', 'compression_ratio')"))
        result["bytes_read"] += stats.get("bytes_read") or 0
        result["bytes_written"] += stats.get("bytes_written") or 0
        result["compression_ratio"] = stats.get("compression_ratio") or 1.0
        return result
