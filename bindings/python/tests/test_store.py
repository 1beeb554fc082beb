"""KeyValueStore: values, tags, time to live, threads and processes."""
import inspect
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import datetime

import nadb
from nadb import KeyValueStore, KeyValueSync
from support import StoreTest, keys, python, wait_for

SET_IN_A_PROCESS = """
import os, signal, sys
from nadb import KeyValueStore
store = KeyValueStore("data", "app", 1, "ns")
store.set("from", b"another process", ["far"])
print(store.get(sys.argv[1]).decode(), flush=True)
if len(sys.argv) > 2:
    os.kill(os.getpid(), signal.SIGKILL)
"""


class Promises(StoreTest):
    """What the documents of the Python NADB promise, by name."""

    def test_dictionary_like_use(self):
        store = self.open()
        store["a"] = b"1"
        store.update({"b": b"2", "c": b"3"})
        self.assertEqual(store["a"], b"1")
        self.assertIn("b", store)
        self.assertNotIn("z", store)
        self.assertEqual(len(store), 3)
        self.assertEqual(list(store), ["a", "b", "c"])
        self.assertEqual(dict(store), {"a": b"1", "b": b"2", "c": b"3"})
        self.assertEqual(store.pop("b"), b"2")
        self.assertEqual(store.setdefault("d", b"4"), b"4")
        del store["a"]
        self.assertEqual(sorted(store.items()), [("c", b"3"), ("d", b"4")])
        store.clear()
        self.assertEqual(len(store), 0)
        self.assertTrue(store)  # also when it is empty
        self.assertEqual({store: 1}[store], 1)

    def test_any_file_type(self):
        store = self.open()
        for name in ("/bin/true", __file__, "/dev/null"):
            with open(name, "rb") as file:
                data = file.read()
            store.set(name, data)
            self.assertEqual(store.get(name), data)

    def test_bytes_in_bytes_out(self):
        store = self.open()
        for data in (b"", b"\0", b"a\0b", bytes(range(256)) * 5000,
                     b"CMP:", b"CMP:short", b"CMP:" + b"x" * 5000,
                     b"CMP:\x78\x9c"):
            store.set("k", data)
            self.assertEqual(store.get("k"), data)
            self.assertIs(type(store.get("k")), bytes)
        store.flush()
        self.assertEqual(store.get("k"), b"CMP:\x78\x9c")

    def test_a_missing_or_deleted_key_is_a_KeyError(self):
        store = self.open()
        self.refused(KeyError, "'k'", store.get, "k")
        self.refused(KeyError, "'k'", store.get_with_metadata, "k")
        self.refused(KeyError, "'k'", store.__delitem__, "k")
        store.set("k", b"v")
        store.delete("k")
        self.refused(KeyError, "'k'", store.get, "k")
        self.assertIsNone(store.delete("k"))  # as often as one likes

    def test_flush_by_size(self):
        store = self.open(buffer_size_mb=0.1)
        for i in range(400):
            store.set(f"k{i}", os.urandom(1000))
        self.assertTrue(wait_for(
            lambda: store.get_stats()["flush_count"] > 0))
        self.assertLess(store.current_buffer_size, 110_000)

    def test_flush_by_time(self):
        sync = KeyValueSync(0.05)
        sync.start()
        self.addCleanup(sync.sync_exit)
        store = self.open(sync=sync)
        store.set("k", b"v")
        self.assertTrue(wait_for(lambda: not store.buffer))
        self.assertTrue(wait_for(
            lambda: store.get_stats()["flush_count"] > 0))

    def test_flush_by_hand(self):
        store = self.open()
        store.set("k", b"value")
        self.assertEqual(dict(store.buffer), {"k": b"value"})
        self.assertEqual(store.current_buffer_size, 5)
        store.flush()
        self.assertEqual((len(store.buffer), store.current_buffer_size),
                         (0, 0))
        self.assertEqual(store.get_stats()["flush_count"], 1)
        self.assertEqual(store.get("k"), b"value")

    def test_a_clean_exit_loses_nothing(self):
        python("from nadb import *; sync = KeyValueSync(60); sync.start();"
               "KeyValueStore('data', 'app', 1, 'ns', sync).set('k', b'v')")
        self.assertEqual(self.open().get("k"), b"v")

    def test_a_kill_loses_nothing_either(self):
        store = self.open()
        store.set("near", b"seen")
        killed = subprocess.run(
            [sys.executable, "-c", SET_IN_A_PROCESS, "near", "kill"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE)
        self.assertEqual(killed.returncode, -signal.SIGKILL)
        self.assertEqual(killed.stdout, b"seen\n")
        self.assertEqual(store.get("from"), b"another process")

    def test_several_stores_share_one_flush_thread(self):
        sync = KeyValueSync(0.05)
        sync.start()
        self.addCleanup(sync.sync_exit)
        stores = [self.open(f"ns{i}", sync=sync) for i in range(3)]
        for store in stores:
            store.set("k", store.name.encode())
        threads = [t for t in threading.enumerate() if t.name == "nadb-sync"]
        self.assertEqual(len(threads), 1)
        self.assertTrue(wait_for(lambda: not any(s.buffer for s in stores)))
        self.assertEqual([s.get("k") for s in stores],
                         [b"app:ns0", b"app:ns1", b"app:ns2"])

    def test_redis_is_localhost_6379_0_by_default(self):
        from nadb.storage_backends.redis import RedisStorage
        defaults = {name: parameter.default for name, parameter in
                    inspect.signature(RedisStorage).parameters.items()}
        self.assertEqual((defaults["host"], defaults["port"], defaults["db"]),
                         ("localhost", 6379, 0))


class Values(StoreTest):
    def test_signature(self):
        parameters = inspect.signature(KeyValueStore).parameters
        self.assertEqual(list(parameters), [
            "data_folder_path", "db", "buffer_size_mb", "namespace", "sync",
            "compression_enabled", "storage_backend", "enable_transactions",
            "enable_backup", "enable_indexing", "cache_size"])
        self.assertEqual([p.default for p in parameters.values()][5:],
                         [True, "fs", True, True, True, 10000])

    def test_what_is_no_key_value_or_tag(self):
        store = self.open()
        for key in ("", None, 7, b"bytes"):
            for method, rest in ((store.get, ()), (store.delete, ()),
                                 (store.set, (b"v",)),
                                 (store.set_with_ttl, (b"v", 5)),
                                 (store.get_with_metadata, ())):
                self.refused(ValueError, "key", method, key, *rest)
        for value in ("text", None, 5, bytearray(b"x")):
            self.refused(TypeError, "bytes", store.set, "k", value)
            self.refused(TypeError, "bytes", store.set_with_ttl, "k", value, 5)
        for ttl in (0, -1, 1.5, "5", None, True):
            self.refused(ValueError, "time to live", store.set_with_ttl, "k",
                         b"v", ttl)
        self.refused(TypeError, "list", store.set, "k", b"v", "tag")
        self.refused(TypeError, "strings", store.set, "k", b"v", ["a", 1])
        self.refused(ValueError, "empty", store.set, "k", b"v", [""])
        self.refused(ValueError, "65536", store.set, "k" * 65537, b"v")
        self.refused(ValueError, "1024", store.set, "k", b"v", ["t" * 1025])
        self.refused(ValueError, "1000", store.set, "k", b"v",
                     [f"t{i}" for i in range(1001)])
        self.refused(ValueError, "surrogates", store.set, "\ud800", b"v")
        self.assertEqual(store.get_all_keys(), [])
        self.refused(ValueError, "db", self.open, db="")
        self.refused(ValueError, "namespace", self.open, "")
        self.refused(ValueError, "'memcache'", self.open,
                     storage_backend="memcache")

    def test_names_of_any_kind(self):
        key = "\u00e9 \U0001f600 ' \" \0 % * / .."
        store = self.open("it's / \u00fc", "d'b")
        store.set(key, b"v", ["a,b", "it's", '"'])
        self.assertEqual(store.get(key), b"v")
        self.assertEqual(store.get_with_metadata(key)["metadata"]["tags"],
                         ['"', "a,b", "it's"])
        self.assertEqual(list(store.query_by_tags(['"', "a,b"])), [key])
        self.assertEqual(store.name, "d'b:it's / \u00fc")

    def test_metadata(self):
        store = self.open()
        before = datetime.now()
        store.set_with_ttl("k", b"value", 3600, ["b", "a", "b"])
        result = store.get_with_metadata("k")
        self.assertEqual(list(result), ["value", "metadata"])
        self.assertEqual(result["value"], b"value")
        metadata = result["metadata"]
        self.assertEqual(
            {name: metadata[name] for name in (
                "path", "key", "db", "namespace", "size", "ttl", "tags")},
            {"path": "app/ns/k", "key": "k", "db": "app", "namespace": "ns",
             "size": 5, "ttl": 3600, "tags": ["a", "b"]})
        self.assertIsInstance(metadata["id"], int)
        for name in ("created_at", "last_updated", "last_accessed"):
            passed = datetime.fromisoformat(metadata[name]) - before
            self.assertLess(abs(passed.total_seconds()), 60)

    def test_set_again(self):
        store = self.open()
        store.set_with_ttl("k", b"1", 3600, ["a", "b"])
        created = store.get_with_metadata("k")["metadata"]["created_at"]
        store.set("k", b"22")  # keeps tags, does not expire
        metadata = store.get_with_metadata("k")["metadata"]
        self.assertEqual((metadata["tags"], metadata["ttl"],
                          metadata["size"], metadata["created_at"]),
                         (["a", "b"], None, 2, created))
        store.set("k", b"3", ["c"])
        store.set_with_ttl("k", b"4", 60)
        metadata = store.get_with_metadata("k")["metadata"]
        self.assertEqual((metadata["tags"], metadata["ttl"]), (["c"], 60))
        store.set("k", b"5", [])  # no tags
        self.assertEqual(store.get_with_metadata("k")["metadata"]["tags"], [])
        self.assertEqual(store.list_all_tags(), {})

    def test_expiry(self):
        store = self.open()
        store.set_with_ttl("short", b"v", 1, ["t"])
        store.set_with_ttl("long", b"v", 1000, ["t"])
        self.assertEqual(store.get("short"), b"v")
        self.assertEqual(store.cleanup_expired(), [])
        self.assertTrue(wait_for(lambda: "short" not in store))
        self.refused(KeyError, "short", store.get, "short")
        self.assertEqual(keys(store.query_by_tags(["t"])), ["long"])
        self.assertEqual(store.list_all_tags(), {"t": 1})
        expired = store.cleanup_expired()
        self.assertEqual([(e["key"], e["db"], e["namespace"], e["path"])
                          for e in expired],
                         [("short", "app", "ns", "app/ns/short")])
        self.assertEqual(store.cleanup_expired(), [])
        self.assertEqual(list(store), ["long"])

    def test_namespaces_and_dbs_are_apart(self):
        stores = [self.open(namespace, db) for namespace in "ab"
                  for db in "cd"]
        for i, store in enumerate(stores):
            store.set("k", b"%d" % i, [f"t{i}"])
        stores[0].flushdb()
        self.assertEqual([s.get("k") for s in stores[1:]],
                         [b"1", b"2", b"3"])
        self.assertEqual(stores[0].get_all_keys(), [])
        self.assertEqual([s.list_all_tags() for s in stores],
                         [{}, {"t1": 1}, {"t2": 1}, {"t3": 1}])

    def test_reopen(self):
        store = self.open()
        store.set("k", b"v", ["t"])
        store.close()
        self.assertEqual(self.open().get("k"), b"v")
        self.assertEqual(store.get("k"), b"v")  # opens again by itself
        with self.open("other") as other:
            other.set("x", b"y")
        self.assertEqual(self.sync.status()["registered_stores"], 1)

    def test_sql_sees_the_same_rows(self):
        self.open().set("k", b"v", ["t"])
        db = sqlite3.connect(":memory:", isolation_level=None)
        nadb.load(db)
        db.execute("CREATE VIRTUAL TABLE kv USING nadb("
                   "path='data', db='app', namespace='ns')")
        self.assertEqual(db.execute("SELECT key, value, tags FROM kv")
                         .fetchall(), [("k", b"v", '["t"]')])
        db.execute("INSERT INTO kv(key, value) VALUES('text', 'h\u00e9'), "
                   "('number', 7), ('null', NULL)")
        store = self.open()
        self.assertEqual([store.get(key) for key in
                          ("text", "number", "null")],
                         ["h\u00e9".encode(), b"7", b""])
        db.close()


class Together(StoreTest):
    """Threads and processes."""

    def test_threads(self):
        store = self.open()
        errors = []

        def work(number):
            try:
                for i in range(100):
                    store.set(f"{number}/{i}", b"%d" % i, [f"t{number}"])
                    store.set("shared", b"%d" % number)
                    assert store.get(f"{number}/{i}") == b"%d" % i
                    store.get("shared")
                with store.transaction() as tx:
                    tx.delete(f"{number}/0")
                    tx.set("last", b"x")
            except Exception as error:
                errors.append(error)
        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(errors, [])
        self.assertEqual(len(store), 8 * 99 + 2)
        self.assertEqual(store.list_all_tags(),
                         {f"t{n}": 99 for n in range(8)})

    def test_processes(self):
        store = self.open()
        store.set("near", b"seen")
        self.assertEqual(python(SET_IN_A_PROCESS, "near"), "seen")
        self.assertEqual(store.get("from"), b"another process")

    def test_processes_meet_in_a_transaction(self):
        store = self.open()
        store.set("n", b"0")
        program = ("from nadb import KeyValueStore\n"
                   "store = KeyValueStore('data', 'app', 1, 'ns')\n"
                   "for i in range(50):\n"
                   "    with store.transaction() as tx:\n"
                   "        tx.delete('n'); tx.set('n', b'%d' % i)\n")
        other = subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
        for i in range(50):
            with store.transaction() as tx:
                tx.set("n", b"x")
                tx.delete("n")
                tx.set("n", b"mine")
        self.assertEqual(other.wait(), 0)
        self.assertIn(store.get("n"), (b"mine", b"49"))

    def test_fork(self):
        store = self.open()
        store.set("k", b"parent")
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                store.set("child", store.get("k") + b", seen by the child")
                os.write(writer, store.get("child"))
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            self.assertEqual(pipe.read(), b"parent, seen by the child")
        os.waitpid(child, 0)
        self.assertEqual(store.get("child"), b"parent, seen by the child")
        store.set("k", b"still here")
        self.assertEqual(store.get("k"), b"still here")


    def test_fork_while_a_thread_has_the_locks(self):
        store = self.open()
        taken, done = threading.Event(), threading.Event()

        def hold():
            with store.buffer_lock, store.transaction_manager.lock:
                taken.set()
                done.wait()
        thread = threading.Thread(target=hold)
        thread.start()
        taken.wait()
        child = os.fork()
        if child == 0:
            try:
                store.set("k", b"v")
                with store.transaction() as tx:
                    tx.set("l", b"v")
            finally:
                os._exit(0)
        self.assertTrue(wait_for(lambda: os.waitpid(child, os.WNOHANG)[0]))
        done.set()
        thread.join()
        self.assertEqual(store.get_all_keys(), ["k", "l"])


class Upkeep(StoreTest):
    def test_compact_storage(self):
        plain = self.open(compression_enabled=False)
        plain.set("long", b"x" * 5000)
        plain.set("short", b"x")
        plain.set("random", os.urandom(5000))
        stored = plain.storage.get_file_size("app/ns/long")
        self.assertEqual(stored, 5000)
        self.assertEqual(plain.compact_storage()["compressed"], 0)
        plain.close()
        store = self.open()
        result = store.compact_storage()
        self.assertEqual(
            {name: result[name] for name in (
                "total_entries", "compressed", "already_compressed",
                "not_compressible", "too_small", "errors", "files_missing",
                "files_processed", "files_compressed")},
            {"total_entries": 3, "compressed": 1, "already_compressed": 0,
             "not_compressible": 1, "too_small": 1, "errors": 0,
             "files_missing": 0, "files_processed": 2,
             "files_compressed": 1})
        self.assertLess(result["size_after_bytes"],
                        result["size_before_bytes"])
        self.assertEqual(result["time_taken_ms"], result["duration_ms"])
        self.assertLess(store.storage.get_file_size("app/ns/long"), 500)
        self.assertEqual(store.get("long"), b"x" * 5000)

    def test_get_stats(self):
        store = self.open()
        for i in range(10):
            store.set(f"k{i}", b"12345", [f"t{i % 3}"])
        store.set_with_ttl("k0", b"12345", 60)
        store.get("k1")
        self.refused(KeyError, "", store.get, "none")
        store.delete("k9")
        store.query_by_tags(["t1"])
        stats = store.get_stats()
        self.assertEqual(
            {name: stats[name] for name in (
                "db", "namespace", "storage_backend", "count", "size_bytes",
                "tag_count", "active_transactions")},
            {"db": "app", "namespace": "ns", "storage_backend": "fs",
             "count": 9, "size_bytes": 45, "tag_count": 3,
             "active_transactions": 0})
        self.assertGreaterEqual(stats["buffer_utilization_percent"], 0)
        performance = stats["performance"]
        self.assertGreater(performance["uptime_seconds"], 0)
        self.assertGreaterEqual(performance["bytes_written"], 55)
        self.assertGreaterEqual(performance["bytes_read"], 5)
        self.assertGreaterEqual(performance["compression_ratio"], 1)
        for name in ("set", "get", "get_miss", "delete", "set_with_ttl",
                     "query_by_tags", "commit"):
            operation = performance["operations"][name]
            self.assertGreater(operation["count"], 0, name)
            for number in ("avg_ms", "min_ms", "max_ms", "p95_ms"):
                self.assertGreaterEqual(operation[number], 0)
        index = stats["index_stats"]["tag_index"]
        self.assertEqual((index.unique_values, index.total_entries), (3, 9))
        self.assertEqual(sorted(stats["cache_stats"]),
                         ["metadata_cache", "query_cache"])
        self.assertIn("avg_time_ms", stats["query_stats"]["tags_and"])

    def test_without_the_managers(self):
        store = self.open(enable_transactions=False, enable_backup=False,
                          enable_indexing=False)
        store.set("k", b"v", ["t"])
        for method, arguments in (
                (store.transaction, ()), (store.begin_transaction, ()),
                (store.commit_transaction, (None,)),
                (store.rollback_transaction, (None,)),
                (store.create_backup, ()), (store.list_backups, ()),
                (store.create_incremental_backup, ("x",)),
                (store.restore_backup, ("x",)), (store.verify_backup, ("x",)),
                (store.complex_query, ([],))):
            self.refused(RuntimeError, "enable_", method, *arguments)
        self.assertEqual(
            store.query_by_tags_advanced(["t"]),
            {"keys": ["k"], "total_count": 1, "page": 1, "page_size": 100,
             "has_more": False})
        stats = store.get_stats()
        self.assertNotIn("index_stats", stats)
        store.optimize_indexes()
        store.rebuild_indexes()
        store.clear_caches()

    def test_no_files_where_nobody_looks(self):
        self.open().set("k", b"v")
        self.assertEqual(os.listdir("."), ["data"])

    def test_a_folder_that_is_none(self):
        with open("data", "w", encoding="utf-8"):
            pass
        self.refused(OSError, "data", self.open)
