"""The thread that flushes stores and removes what has expired in them."""
from __future__ import annotations

import logging
import threading
from datetime import datetime
from typing import TYPE_CHECKING, Any, Dict, List, Optional

if TYPE_CHECKING:
    from .store import KeyValueStore

_logger = logging.getLogger("nadb.sync")


class KeyValueSync:
    """Flushes any number of stores, in one thread.

    Nothing depends on it for being kept: what a method of a store has written
    when it returns survives the end of the process. A flush makes it survive a
    power cut too.

    Args:
        flush_interval_seconds: between two flushes of what was written.
    """

    def __init__(self, flush_interval_seconds: float) -> None:
        self.flush_interval = flush_interval_seconds
        self.stores: List["KeyValueStore"] = []
        self.is_running = False
        self.thread: Optional[threading.Thread] = None
        self.last_ttl_cleanup = datetime.now()
        self.ttl_cleanup_interval = 60
        self._wake = threading.Event()

    def register_store(self, store: "KeyValueStore") -> None:
        """From now on the store is flushed; a new KeyValueStore does this."""
        if store not in self.stores:
            self.stores.append(store)

    def unregister_store(self, store: "KeyValueStore") -> None:
        """The store is not flushed any more; closing one does this."""
        self.stores = [other for other in self.stores if other is not store]

    def start(self) -> None:
        """Starts the thread, unless it runs."""
        if self.is_running and self.thread and self.thread.is_alive():
            return
        self.is_running = True
        self._wake.clear()
        self.thread = threading.Thread(target=self._run, name="nadb-sync",
                                       daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while self.is_running:
            self.flush_and_sleep()

    def flush_and_sleep(self) -> None:
        """One round: sleeps for the interval (until sync_exit() at most),
        and flushes; removes what has expired where that was long ago."""
        self._wake.wait(max(self.flush_interval, 0.01))
        for store in list(self.stores):
            self._each(store, "flush", store.flush)
        now = datetime.now()
        passed = (now - self.last_ttl_cleanup).total_seconds()
        if passed >= self.ttl_cleanup_interval:
            self.last_ttl_cleanup = now
            for store in list(self.stores):
                self._each(store, "cleanup_expired", store.cleanup_expired)

    def _each(self, store: "KeyValueStore", what: str, work: Any) -> None:
        """Does `work`; an error is logged, and the next round tries again."""
        try:
            work()
        except Exception as error:  # the thread serves the other stores too
            _logger.error("%s of store %s failed: %s", what, store.name, error)

    def status(self) -> Dict[str, Any]:
        """is_running, flush_interval, registered_stores, last_ttl_cleanup
        (ISO 8601, local), ttl_cleanup_interval (seconds)."""
        return {
            "is_running": self.is_running,
            "flush_interval": self.flush_interval,
            "registered_stores": len(self.stores),
            "last_ttl_cleanup": self.last_ttl_cleanup.isoformat(),
            "ttl_cleanup_interval": self.ttl_cleanup_interval,
        }

    def sync_exit(self) -> None:
        """Ends the thread, after it has flushed all stores."""
        if not self.is_running:
            return
        self.is_running = False
        self._wake.set()
        thread, self.thread = self.thread, None
        if thread is None or thread is threading.current_thread():
            return
        thread.join()
