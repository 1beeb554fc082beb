"""The flush thread, metrics, logs."""
import io
import json
import logging
import threading
import unittest

from nadb import KeyValueSync, LoggingConfig, PerformanceMetrics
from nadb.logging_config import PerformanceLogger, StructuredFormatter
from support import StoreTest, python, wait_for


class Sync(StoreTest):
    def test_status(self):
        sync = KeyValueSync(flush_interval_seconds=5)
        status = sync.status()
        self.assertEqual(sorted(status), [
            "flush_interval", "is_running", "last_ttl_cleanup",
            "registered_stores", "ttl_cleanup_interval"])
        self.assertEqual((status["is_running"], status["flush_interval"],
                          status["registered_stores"],
                          status["ttl_cleanup_interval"]), (False, 5, 0, 60))
        store = self.open(sync=sync)
        self.assertEqual(sync.stores, [store])
        sync.start()
        sync.start()  # once is enough
        self.assertTrue(sync.status()["is_running"])
        store.set("k", b"v")
        sync.sync_exit()  # at once, whatever the interval is
        self.assertFalse(sync.status()["is_running"])
        self.assertEqual(len(store.buffer), 0)
        sync.sync_exit()
        sync.start()
        self.assertTrue(sync.thread.is_alive())
        sync.sync_exit()

    def test_it_removes_what_has_expired(self):
        sync = KeyValueSync(0.05)
        sync.ttl_cleanup_interval = 0
        sync.start()
        self.addCleanup(sync.sync_exit)
        store = self.open(sync=sync)
        before = store.get_stats()["expired_count"]
        store.set_with_ttl("k", b"v", 1)
        last = sync.last_ttl_cleanup
        self.assertTrue(wait_for(
            lambda: store.get_stats()["expired_count"] > before))
        self.assertGreater(sync.last_ttl_cleanup, last)

    def test_an_error_stops_no_other_store(self):
        class Broken:
            name = "broken"

            def flush(self):
                raise OSError("no")
            cleanup_expired = flush
        sync = KeyValueSync(0.02)
        sync.register_store(Broken())
        store = self.open(sync=sync)
        with self.assertLogs("nadb.sync", "ERROR") as logs:
            sync.start()
            store.set("k", b"v")
            self.assertTrue(wait_for(lambda: not store.buffer))
            sync.sync_exit()
        self.assertIn("broken", logs.output[0])

    def test_without_a_sync(self):
        store = self.open(sync=None)
        store.set("k", b"v")
        self.assertEqual(store.get("k"), b"v")
        store.close()


class Metrics(unittest.TestCase):
    def test_operations(self):
        metrics = PerformanceMetrics()
        for duration in range(1, 101):
            metrics.record_operation("work", duration)
        metrics.record_operation("read", 1.5, 10)
        metrics.record_operation("write", 2.5, 20)
        found = metrics.get_metrics()
        self.assertEqual((found["bytes_read"], found["bytes_written"]),
                         (10, 20))
        work = found["operations"]["work"]
        self.assertEqual((work["count"], work["avg_ms"], work["min_ms"],
                          work["max_ms"], work["p95_ms"]),
                         (100, 50.5, 1, 100, 95))
        self.assertGreaterEqual(found["uptime_seconds"], 0)

    def test_it_does_not_grow(self):
        metrics = PerformanceMetrics()
        for _ in range(5000):
            metrics.record_operation("work", 1)
        self.assertEqual(metrics.get_metrics()["operations"]["work"]["count"],
                         5000)
        self.assertLessEqual(len(metrics._operations["work"].last), 1000)


class Logs(StoreTest):
    def lines(self, logger, work):
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(StructuredFormatter())
        level = logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            work()
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    def test_structured(self):
        logger = LoggingConfig.get_logger("application")
        self.assertEqual(logger.name, "nadb.application")

        def work():
            logger.info("a %s", "text", extra={"user": "u:1", "at": {1}})
            try:
                1 / 0
            except ZeroDivisionError:
                logger.exception("bad")
        first, second = self.lines(logger, work)
        self.assertEqual(
            {name: first[name] for name in (
                "level", "logger", "message", "module", "function", "user",
                "at", "thread_id")},
            {"level": "INFO", "logger": "nadb.application",
             "message": "a text", "module": "test_sync", "function": "work",
             "user": "u:1", "at": "{1}",
             "thread_id": threading.get_ident()})
        self.assertTrue(first["timestamp"].endswith("+00:00"))
        self.assertIn("ZeroDivisionError", second["exception"])

    def test_performance(self):
        logger = LoggingConfig.get_performance_logger("application")
        self.assertIsInstance(logger, PerformanceLogger)
        self.assertIs(LoggingConfig.get_performance_logger("storage"),
                      LoggingConfig.storage_perf)

        def work():
            logger.start_operation("1", "import", key="k", size=7)
            logger.end_operation("1", result_count=1, size=8)
            logger.start_operation("2", "import", name="reserved")
            logger.end_operation("2", success=False, error="no")
            logger.end_operation("3")
            logger.log_metric("users", 12.5, unit="n", module="m")
        done, failed, unknown, metric = self.lines(logger.logger, work)
        self.assertEqual(
            (done["operation"], done["success"], done["key"], done["size"],
             done["result_count"], done["level"]),
            ("import", True, "k", 8, 1, "INFO"))
        self.assertGreaterEqual(done["duration_ms"], 0)
        self.assertEqual((failed["success"], failed["error"], failed["level"],
                          failed["name_"]), (False, "no", "ERROR",
                                             "reserved"))
        self.assertEqual(unknown["level"], "WARNING")
        self.assertEqual((metric["metric"], metric["value"], metric["unit"]),
                         ("users", 12.5, "n"))

    def test_of_a_store(self):
        store = self.open()

        def work():
            store.set("k", b"value", ["t"])
            store.set_with_ttl("k", b"v", 60)
            store.delete("k")
            self.refused(ValueError, "65536", store.set, "k" * 70000, b"v")
        lines = self.lines(LoggingConfig.storage_perf.logger, work)
        self.assertEqual(
            [(line["operation"], line["success"], line["key"][:3])
             for line in lines],
            [("set", True, "k"), ("set_with_ttl", True, "k"),
             ("delete", True, "k"), ("set", False, "kkk")])
        self.assertEqual(lines[0]["data_size"], 5)
        self.assertIn("65536", lines[3]["error"])

    def test_setup(self):
        said = python(
            "from nadb import KeyValueStore, LoggingConfig\n"
            "LoggingConfig.setup_logging(log_dir='logs')\n"
            "store = KeyValueStore('data', 'app', 1, 'ns')\n"
            "store.set('k', b'v')\n"
            "LoggingConfig.get_logger('application').info('hello')\n")
        self.assertIn("[INFO] nadb.application: hello", said)
        with open("logs/nadb.log", encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        self.assertEqual([line.get("operation") for line in lines],
                         ["set", None])
        self.assertNotIn("logs", LoggingConfig.DEFAULT_CONFIG["handlers"]
                         ["file"]["filename"])
