"""A folder of the Python NADB, its files of metadata, and its names."""
import json
import os
import subprocess
import sys
import zlib
from datetime import datetime, timedelta

import nadb
from nadb import KeyValueMetadata
from support import StoreTest, keys, python


class OldStore(StoreTest):
    """Files as the Python NADB has left them."""

    def write(self, key, value, tags=(), ttl=None, namespace="ns",
              stored=None):
        path = f"app/{len(self.paths):02x}/00/{key.encode().hex()}"
        self.paths[key] = f"data/{path}"
        if value is not None:
            os.makedirs(os.path.dirname(self.paths[key]), exist_ok=True)
            with open(self.paths[key], "wb") as file:
                file.write(value if stored is None else stored)
        self.metadata.set_metadata({
            "path": path, "key": key, "db": "app", "namespace": namespace,
            "size": 1, "ttl": ttl, "tags": list(tags)})

    def setUp(self):
        super().setUp()
        self.paths = {}
        os.mkdir("data")
        self.metadata = KeyValueMetadata("app_meta.db", "data")
        self.addCleanup(self.metadata.close_connections)
        long = b"long" * 1000
        self.write("a", b"1", ["x", "y"])
        self.write("long", long, stored=b"CMP:" + zlib.compress(long, 6))
        self.write("CMP", b"CMP:\x78\x9cshort")
        self.write("ttl", b"v", ttl=3600)
        self.write("other", b"v", namespace="elsewhere")

    def test_opening_imports_it_once(self):
        created = self.metadata.get_metadata("a", "app", "ns")["created_at"]
        before = {path: os.stat(path).st_mtime_ns
                  for path in self.paths.values()}
        with self.assertLogs("nadb.moving_in", "INFO") as logs:
            store = self.open()
        self.assertIn("imported 4 rows", logs.output[0])
        self.assertEqual(dict(store), {
            "a": b"1", "long": b"long" * 1000, "CMP": b"CMP:\x78\x9cshort",
            "ttl": b"v"})
        metadata = store.get_with_metadata("a")["metadata"]
        self.assertEqual(metadata["tags"], ["x", "y"])
        self.assertAlmostEqual(
            datetime.fromisoformat(metadata["created_at"]).timestamp(),
            datetime.fromisoformat(created).timestamp(), delta=0.002)
        self.assertAlmostEqual(
            store.get_with_metadata("ttl")["metadata"]["ttl"], 3600, delta=1)
        store.delete("a")
        store.set("long", b"newer")
        store.close()
        again = self.open()
        self.assertEqual(again.get_all_keys(), ["CMP", "long", "ttl"])
        self.assertEqual(again.get("long"), b"newer")
        self.assertEqual(self.open("elsewhere").get_all_keys(), ["other"])
        self.assertEqual(self.open("new").get_all_keys(), [])
        self.assertEqual({path: os.stat(path).st_mtime_ns
                          for path in self.paths.values()}, before)

    def test_what_is_left_out_is_said(self):
        self.write("lost", None)
        self.write("broken", b"CMP:\x78\x9c" + b"x" * 2000)
        self.write("over", b"v", ttl=1)
        connection = self.metadata._connect()
        connection.execute(
            "UPDATE metadata SET last_updated = ? WHERE key = 'over'",
            ((datetime.now() - timedelta(hours=1)).isoformat(),))
        connection.execute(
            "UPDATE metadata SET path = '../' || path WHERE key = 'a'")
        connection.commit()
        with self.assertLogs("nadb.moving_in", "WARNING") as logs:
            store = self.open()
        said = "\n".join(logs.output)
        for key in ("lost", "broken", "a"):
            self.assertIn(f"'{key}' was not imported", said)
        self.assertEqual(store.get_all_keys(), ["CMP", "long", "ttl"])
        with open("data/app_meta.db.imported", encoding="utf-8") as file:
            done = json.load(file)
        self.assertEqual(sorted(done["ns"]["left_out"]),
                         ["a", "broken", "lost"])

    def test_killed_before_it_was_noted(self):
        store = self.open()
        store.set("a", b"newer")
        store.close()
        with open("data/app_meta.db.imported", "w", encoding="utf-8") as file:
            file.write('{"ns": {')
        self.assertEqual(self.open().get("a"), b"newer")

    def test_several_processes_open_it_at_once(self):
        program = ("from nadb import KeyValueStore\n"
                   "store = KeyValueStore('data', 'app', 1, 'ns')\n"
                   "assert len(store) == 4, len(store)\n")
        children = [subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
            for _ in range(3)]
        self.assertEqual([child.wait() for child in children], [0, 0, 0])

    def test_no_database(self):
        with open("data/x_meta.db", "wb") as file:
            file.write(b"no database" * 100)
        with self.assertRaises(Exception) as caught:
            self.open(db="x")
        self.assertIn("database", str(caught.exception))


class Metadata(StoreTest):
    """KeyValueMetadata, which is a file of its own."""

    def test_all_of_it(self):
        metadata = KeyValueMetadata("m.db", "deep/folder")
        self.addCleanup(metadata.close_connections)
        entry = {"path": "p", "key": "k", "db": "d", "namespace": "n",
                 "size": 10, "ttl": 10, "tags": ["a", "b,c", "a"]}
        metadata.set_metadata(entry)
        found = metadata.get_metadata("k", "d", "n")
        self.assertEqual({name: found[name] for name in entry},
                         {**entry, "tags": ["a", "b,c"]})
        metadata.set_metadata({**entry, "size": 20, "ttl": None, "tags": []})
        again = metadata.get_metadata("k", "d", "n")
        self.assertEqual((again["size"], again["ttl"], again["tags"],
                          again["created_at"], again["id"]),
                         (20, None, ["a", "b,c"], found["created_at"],
                          found["id"]))
        metadata.set_metadata({**entry, "key": "k_2", "path": "q",
                               "tags": ["a"]})

        def query(**wanted):
            return keys(metadata.query_metadata(wanted))
        self.assertEqual(query(), ["k", "k_2"])
        self.assertEqual(query(key="K"), ["k", "k_2"])
        self.assertEqual(query(key="_"), ["k_2"])
        self.assertEqual(query(tags=["a", "b,c"]), ["k"])
        self.assertEqual(query(db="d", namespace="n", min_size=11), ["k"])
        self.assertEqual(query(max_size=11), ["k_2"])
        self.assertEqual(query(created_after=again["created_at"]),
                         ["k", "k_2"])
        self.assertEqual(query(updated_before=again["last_updated"]), ["k"])
        self.refused(ValueError, "colour", query, colour="red")
        self.assertEqual(metadata.query_tags("d", "n"), {"a": 2, "b,c": 1})
        metadata.set_tags(found["id"], ["z"])
        self.assertEqual(metadata.query_tags("d", "n"), {"a": 1, "z": 1})
        metadata.set_metadata({**entry, "ttl": -1})
        self.assertEqual(
            [(e["key"], e["db"], e["namespace"], e["path"]) for e in
             metadata.cleanup_expired()], [("k", "d", "n", "p")])
        metadata.delete_metadata("k_2", "d", "n")
        self.assertEqual(query(), [])
        self.assertIsNone(metadata.get_metadata("k", "d", "n"))


class Names(StoreTest):
    """Programs change nothing but the package."""

    def test_modules_of_before(self):
        self.assertEqual(python(
            "from nakv import KeyValueStore, KeyValueSync\n"
            "from nakv import KeyValueMetadata, PerformanceMetrics\n"
            "from storage_backends import StorageFactory\n"
            "from storage_backends import BackendCapabilities\n"
            "from storage_backends.base import StorageBackend\n"
            "from storage_backends.fs import FileSystemStorage\n"
            "from storage_backends.redis import RedisStorage\n"
            "from logging_config import LoggingConfig\n"
            "from transaction import TransactionManager, TransactionState\n"
            "from backup_manager import BackupManager, BackupMetadata\n"
            "from index_manager import IndexManager, QueryOperator\n"
            "import nadb, nadb.storage_backends.redis as redis\n"
            "for name in ('KeyValueStore KeyValueSync KeyValueMetadata '\n"
            "             'PerformanceMetrics StorageFactory LoggingConfig '\n"
            "             'TransactionManager BackupManager BackupMetadata '\n"
            "             'IndexManager QueryOperator').split():\n"
            "    assert getattr(nadb, name) is globals()[name], name\n"
            "assert redis.RedisStorage is RedisStorage\n"
            "print('good')"), "good")

    def test_a_module_of_the_program_comes_first(self):
        with open("transaction.py", "w", encoding="utf-8") as file:
            file.write("mine = True")
        self.assertEqual(python(
            "import sys; sys.path.insert(0, '')\n"
            "from nadb import KeyValueStore\n"
            "import transaction\n"
            "print(transaction.mine)"), "True")

    def test_loading_alone_imports_nothing_else(self):
        self.assertEqual(python(
            "import sqlite3, sys, nadb\n"
            "nadb.load(sqlite3.connect(':memory:'))\n"
            "print([name for name in sys.modules if name[:5] == 'nadb.'])"),
            "['nadb.library']")

    def test_version(self):
        self.assertRegex(nadb.__version__, r"^\d+\.\d+\.\d+")
        self.assertIn("KeyValueStore", dir(nadb))
        self.refused(AttributeError, "'nothing'", getattr, nadb, "nothing")
