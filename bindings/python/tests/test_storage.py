"""Storages: files, Redis, and the names of backends."""
import os
import unittest

from nadb import (BackendCapabilities, KeyValueStore, StorageBackend,
                  StorageFactory)
from support import StoreTest, keys, wait_for

PORT = os.environ.get("NADB_TEST_REDIS_PORT")


class Files(StoreTest):
    def setUp(self):
        super().setUp()
        self.storage = StorageFactory.create_storage("fs", base_path="files")

    def test_values_by_path(self):
        storage = self.storage
        self.assertIsInstance(storage, StorageBackend)
        self.assertIs(storage.write_data("a/b/c", b"1"), True)
        self.assertIs(storage.write_data("a/b/c", b"22"), True)
        self.assertEqual(storage.read_data("a/b/c"), b"22")
        self.assertEqual(storage.get_file_size("a/b/c"), 2)
        self.assertTrue(storage.file_exists("a/b/c"))
        self.assertEqual(os.listdir("files/a/b"), ["c"])
        self.assertIsNone(storage.read_data("a/b"))
        self.assertIsNone(storage.read_data("none"))
        self.assertEqual(storage.get_file_size("none"), 0)
        self.assertFalse(storage.file_exists("none"))
        self.assertIs(storage.delete_file("none"), True)
        self.assertIs(storage.delete_file("a/b/c"), True)
        self.assertFalse(storage.file_exists("a/b/c"))
        storage.write_data("a/x", b"1")
        self.assertIs(storage.delete_directory("a"), True)
        self.assertEqual(os.listdir("files"), [])
        self.assertTrue(storage.ensure_directory_exists(
            storage.get_full_path("p/q/r")))
        self.assertTrue(os.path.isdir("files/p/q"))

    def test_nothing_outside_of_the_folder(self):
        os.mkdir("files2")
        for path in ("../x", "a/../../x", "/etc/passwd", "../files2/x"):
            self.refused(ValueError, "leads out",
                         self.storage.get_full_path, path)
            self.refused(ValueError, "leads out", self.storage.write_data,
                         path, b"v")
        for path in ("", ".", "a/.."):
            self.refused(ValueError, "itself", self.storage.delete_directory,
                         path)

    def test_permissions_stay(self):
        self.storage.write_data("a", b"1")
        os.chmod("files/a", 0o640)
        self.storage.write_data("a", b"2")
        self.assertEqual(os.stat("files/a").st_mode & 0o777, 0o640)

    def test_compression(self):
        storage = self.storage
        for data in (b"short", b"x" * 5000):
            packed = storage.compress_data(data, True)
            self.assertEqual(storage.decompress_data(packed), data)
            self.assertEqual(storage.compress_data(data, False), data)
        self.assertLess(len(packed), 100)

    def test_of_a_store(self):
        store = self.open()
        store.set("k", b"x" * 5000, ["t"])
        storage, path = store.storage, store._get_path("k")
        self.assertEqual(path, store.get_with_metadata("k")["metadata"]
                         ["path"])
        self.assertTrue(storage.file_exists(path))
        self.assertEqual(storage.read_data(path), b"x" * 5000)
        self.assertLess(storage.get_file_size(path), 500)
        storage.write_data(path, b"new")
        self.assertEqual(store.get("k"), b"new")
        self.assertEqual(keys(storage.query_metadata(
            {"db": "app", "namespace": "ns", "tags": ["t"]})), ["k"])
        storage.delete_file(path)
        self.assertNotIn("k", store)
        storage.write_data(store._get_path("made"), b"here")
        self.assertEqual(store.get("made"), b"here")
        self.refused(ValueError, "'none'", storage.get_metadata, "k", "none",
                     "ns")
        storage.close_connections()
        self.assertEqual(store.get("made"), b"here")

    def test_backends(self):
        capabilities = self.storage.get_capabilities()
        self.assertIsInstance(capabilities, BackendCapabilities)
        self.assertEqual((capabilities.write_strategy,
                          capabilities.is_distributed), ("buffered", False))
        for name in ("memcache", "nosuch", "base"):
            self.refused(ValueError, repr(name),
                         StorageFactory.create_storage, name, base_path=".")

    def test_another_storage(self):
        store = self.open()
        store.set("k", b"here")
        store.storage = self.storage
        self.assertNotIn("k", store)
        store.set("k", b"there")
        self.assertEqual(KeyValueStore("files", "app", 1, "ns").get("k"),
                         b"there")
        self.refused(TypeError, "StorageBackend", setattr, store, "storage",
                     "fs")


@unittest.skipUnless(PORT, "no server")
class Redis(StoreTest):
    def storage(self, **options):
        return StorageFactory.create_storage(
            "redis", base_path="data", host="127.0.0.1", port=int(PORT),
            **options)

    def open(self, namespace="ns", **options):
        # As the examples of the Python NADB do for another server.
        store = super().open(namespace, **options)
        store.storage = self.storage()
        store.flushdb()
        return store

    def test_store(self):
        store = self.open()
        self.assertTrue(store.is_redis_backend)
        self.assertEqual(store.get_stats()["storage_backend"], "redis")
        self.assertFalse(store.use_buffering)
        store.set("k", b"\0v", ["x", "y"])
        store.set("k", b"\0w")
        store.set_with_ttl("t", b"x" * 5000, 3600, ["y"])
        self.assertEqual(len(store.buffer), 0)
        self.assertEqual(dict(store), {"k": b"\0w", "t": b"x" * 5000})
        metadata = store.get_with_metadata("t")["metadata"]
        self.assertEqual((metadata["ttl"], metadata["tags"]), (3600, ["y"]))
        self.assertEqual(keys(store.query_by_tags(["y"])), ["k", "t"])
        self.assertEqual(store.list_all_tags(), {"x": 1, "y": 2})
        self.assertEqual(store.query_by_tags_advanced(
            ["x", "y"], page_size=1).total_count, 1)
        self.assertTrue(store.query_by_tags_advanced(
            ["x", "y"], page_size=1).cache_hit)
        self.refused(KeyError, "none", store.get, "none")
        with store.transaction() as tx:
            tx.set("a", b"1")
            tx.delete("k")
        self.assertEqual(store.get_all_keys(), ["a", "t"])
        store.create_backup("b")
        store.set("c", b"3")
        store.create_incremental_backup("b", "i")
        store.flushdb()
        store.restore_backup("i")
        self.assertEqual(store.get_all_keys(), ["a", "c", "t"])
        self.assertEqual(store.get_stats()["count"], 3)
        self.assertEqual(store.compact_storage()["total_entries"], 3)
        store.rebuild_indexes()
        store.optimize_indexes()
        store.flush()

    def test_native_expiry(self):
        store = self.open()
        store.set_with_ttl("k", b"v", 1, ["t"])
        self.assertEqual(store.get("k"), b"v")
        self.assertTrue(wait_for(lambda: "k" not in store))
        self.assertEqual(store.query_by_tags(["t"]), {})
        store.cleanup_expired()
        self.assertEqual(store.list_all_tags(), {})

    def test_another_server(self):
        store = super().open()
        store.storage = self.storage(db=1)
        store.flushdb()
        store.set("k", b"on db 1")
        other = super().open()
        other.storage = self.storage(db=1, max_connections=3)
        self.assertEqual(other.get("k"), b"on db 1")
        other.storage = self.storage()
        self.assertNotIn("k", other)

    def test_values_by_path(self):
        storage = self.storage()
        self.assertTrue(storage.connected)
        storage.delete_directory("")
        storage.write_data("a/b", b"1")
        storage.write_data("a/b", b"22")
        storage.write_data("b", b"3")
        self.assertEqual(storage.read_data("a/b"), b"22")
        self.assertEqual(storage.get_file_size("a/b"), 2)
        self.assertEqual(storage.delete_directory("a/"), 1)
        self.assertFalse(storage.file_exists("a/b"))
        self.assertEqual(storage.read_data("b"), b"3")
        self.assertTrue(storage.delete_file("b"))
        self.assertIsNone(storage.read_data("b"))
        self.assertTrue(storage.get_capabilities().is_distributed)
        storage.close_connections()

    def test_metadata_of_no_store(self):
        storage = self.storage()
        for key, size, tags, ttl in (("a", 5, ["x"], None),
                                     ("b", 50, ["x", "y"], 3600),
                                     ("c", 500, [], -1)):
            self.assertTrue(storage.set_metadata(
                {"key": key, "db": "d", "namespace": "n", "size": size,
                 "tags": tags, "ttl": ttl}))
        self.assertEqual(storage.get_metadata("b", "d", "n")["ttl"], 3600)
        self.assertIsNone(storage.get_metadata("c", "d", "n"))
        found = {"db": "d", "namespace": "n"}
        self.assertEqual(keys(storage.query_metadata(found)), ["a", "b"])
        self.assertEqual(keys(storage.query_metadata(
            {**found, "tags": ["x"], "min_size": 6})), ["b"])
        self.assertEqual([m["key"] for m in storage.cleanup_expired()], ["c"])
        for key in "ab":
            self.assertTrue(storage.delete_metadata(key, "d", "n"))
        self.assertEqual(storage.query_metadata(found), [])

    def test_errors(self):
        self.refused(ConnectionError, "127.0.0.1", StorageFactory.
                     create_storage, "redis", host="127.0.0.1", port=1,
                     connection_timeout=1)
        self.refused(Exception, "colour", self.storage, colour="red")
        os.environ["NADB_PASSWORD_1"] = "taken"
        self.refused(ConnectionError, "", self.storage, password="secret")
        self.assertEqual((os.environ.pop("NADB_PASSWORD_1"),
                          os.environ.pop("NADB_PASSWORD_2")),
                         ("taken", "secret"))
