"""Backups: ours, and those that the Python NADB has left."""
import base64
import gzip
import hashlib
import json
import os
from datetime import datetime, timedelta
from pathlib import Path

from nadb import BackupManager, BackupMetadata
from support import StoreTest


class Backups(StoreTest):
    def setUp(self):
        super().setUp()
        self.store = self.open()
        self.store.set("a", b"1", ["t"])
        self.store.set_with_ttl("b", b"2", 3600)
        self.store.set("c", b"3")

    def rows(self):
        return {key: (value, self.store.get_with_metadata(key)["metadata"]
                      ["tags"]) for key, value in self.store.items()}

    def test_full(self):
        before = self.rows()
        made = self.store.create_backup("monday")
        self.assertIsInstance(made, BackupMetadata)
        self.assertEqual(
            (made.backup_id, made.backup_type, made.source_db,
             made.source_namespace, made.file_count, made.parent_backup_id,
             made.compression),
            ("monday", "full", "app", "ns", 3, None, True))
        self.assertEqual(made.total_size, 3)
        self.assertRegex(made.checksum, "^[0-9a-f]{64}$")
        passed = datetime.now() - datetime.fromisoformat(made.timestamp)
        self.assertLess(abs(passed.total_seconds()), 60)
        self.assertIs(self.store.verify_backup("monday"), True)
        ttl = self.store.get_with_metadata("b")["metadata"]["ttl"]
        self.store.delete("a")
        self.store.set("b", b"other", ["u"])
        self.store.set("new", b"new")
        self.assertIs(self.store.restore_backup("monday"), True)
        self.assertEqual(self.rows(), {**before, "new": (b"new", [])})
        self.assertEqual(self.store.get_with_metadata("b")["metadata"]["ttl"],
                         ttl)
        self.assertIs(self.store.restore_backup(
            "monday", verify_integrity=False, clear_existing=True), True)
        self.assertEqual(self.rows(), before)

    def test_incremental_knows_deletions(self):
        self.store.create_backup("full", compression=False)
        self.store.set("a", b"changed", ["t"])
        self.store.set("new", b"new")
        self.store.delete("c")
        after = self.rows()
        made = self.store.create_incremental_backup("full", "inc")
        self.assertEqual((made.backup_type, made.parent_backup_id,
                          made.file_count), ("incremental", "full", 2))
        self.assertEqual([b.compression for b in self.store.list_backups()],
                         [False, True])
        self.store.flushdb()
        self.store.restore_backup("inc")
        self.assertEqual(self.rows(), after)
        self.refused(ValueError, "none", self.store.create_incremental_backup,
                     "none")

    def test_ids(self):
        self.assertRegex(self.store.create_backup().backup_id,
                         r"^full_\d{8}_\d{6}")
        full = self.store.create_backup("v").backup_id
        self.assertRegex(
            self.store.create_incremental_backup(full).backup_id,
            r"^inc_\d{8}_\d{6}")
        for name in ("v1.2", "metadata.json", "x" * 128):
            for _ in range(2):
                self.assertEqual(self.store.create_backup(name).backup_id,
                                 name)
            self.assertTrue(self.store.verify_backup(name))
        for bad in ("a/b", "../x", "", "a b", ".", "..", ".hidden"):
            self.refused(ValueError, "id", self.store.create_backup, bad)

    def test_the_same_id_replaces(self):
        self.store.create_backup("daily")
        self.store.set("new", b"new")
        self.assertEqual(self.store.create_backup("daily").file_count, 4)
        self.assertEqual([b.backup_id for b in self.store.list_backups()],
                         ["daily"])
        self.store.create_incremental_backup("daily", "inc")
        self.refused(ValueError, "inc", self.store.create_backup, "daily")
        self.refused(ValueError, "own", self.store.create_incremental_backup,
                     "daily", "daily")
        self.assertTrue(self.store.verify_backup("inc"))

    def test_damage(self):
        self.store.create_backup("b")
        file = max((f for f in Path("backups/b").iterdir()),
                   key=lambda f: f.name != "BACKUP")
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        before = self.rows()
        self.assertIs(self.store.verify_backup("b"), False)
        for verify in (True, False):
            self.refused(RuntimeError, "integrity", self.store.restore_backup,
                         "b", verify, True)
        self.assertEqual(self.rows(), before)
        self.assertIs(self.store.verify_backup("none"), False)
        self.refused(ValueError, "none", self.store.restore_backup, "none")

    def test_removing(self):
        manager = self.store.backup_manager
        self.assertEqual(manager.list_backups(), [])
        self.assertEqual(manager.cleanup_old_backups(), 0)
        for number in range(4):
            manager.create_full_backup(f"b{number}")
        manager.create_incremental_backup("b0", "inc")
        self.refused(ValueError, "inc", manager.delete_backup, "b0")
        self.assertIs(manager.delete_backup("b3"), True)
        self.assertIs(manager.delete_backup("b3"), False)
        self.assertEqual(manager.cleanup_old_backups(), 0)
        self.assertEqual(manager.cleanup_old_backups(0, 1), 2)
        self.assertEqual([b.backup_id for b in manager.list_backups()],
                         ["b0", "inc"])
        self.assertIs(manager.delete_backup("b0", force=True), True)
        self.assertIs(manager.verify_backup_integrity("inc"), False)

    def test_another_folder(self):
        manager = BackupManager(self.store, "elsewhere/deep")
        manager.create_full_backup("b")
        self.assertTrue(os.path.isdir("elsewhere/deep/b"))
        self.assertFalse(os.path.exists("backups"))

    def test_another_store_restores_it(self):
        before = self.rows()
        self.store.create_backup("b")
        self.store = self.open("other", "db")
        self.store.restore_backup("b")
        self.assertEqual(self.rows(), before)


class OldBackups(StoreTest):
    """A folder as the Python NADB has left it."""

    def write(self, name, days, rows, parent=None, compression=True):
        moment = (datetime.now() - timedelta(days=days)).isoformat()
        items = [{"key": key,
                  "value": base64.b64encode(value).decode(), "tags": tags,
                  "metadata": {"key": key, "ttl": ttl, "created_at": moment,
                               "last_updated": datetime.now().isoformat()},
                  "checksum": hashlib.sha256(value).hexdigest()}
                 for key, value, tags, ttl in rows]
        data = json.dumps(items).encode()
        folder = Path("backups") / name
        folder.mkdir(parents=True)
        file = folder / ("data.json.gz" if compression else "data.json")
        file.write_bytes(gzip.compress(data) if compression else data)
        self.metadata[name] = {
            "backup_id": name, "timestamp": moment,
            "backup_type": "incremental" if parent else "full",
            "source_db": "app", "source_namespace": "ns",
            "file_count": len(rows), "total_size": 9,
            "checksum": hashlib.sha256(file.read_bytes()).hexdigest(),
            "parent_backup_id": parent, "compression": compression}
        Path("backups/metadata.json").write_text(json.dumps(self.metadata))
        return file

    def setUp(self):
        super().setUp()
        self.metadata = {}
        self.write("full", 50, [("a", b"1", ["x", "y"], None),
                                ("b", b"\0\xff", [], 3600)])
        self.write("inc", 40, [("a", b"2", [], None), ("c", b"3", ["z"],
                                                       None)],
                   parent="full", compression=False)
        self.store = self.open()

    def test_restore(self):
        self.store.set("mine", b"mine")
        self.assertEqual(
            [(b.backup_id, b.parent_backup_id) for b in
             self.store.list_backups()], [("full", None), ("inc", "full")])
        self.assertIs(self.store.verify_backup("inc"), True)
        self.assertIs(self.store.restore_backup("inc"), True)
        self.assertEqual(dict(self.store), {
            "a": b"2", "b": b"\0\xff", "c": b"3", "mine": b"mine"})
        self.assertEqual(self.store.list_all_tags(), {"z": 1})
        metadata = self.store.get_with_metadata("b")["metadata"]
        self.assertAlmostEqual(metadata["ttl"], 3600, delta=1)
        self.store.restore_backup("full", clear_existing=True)
        self.assertEqual(dict(self.store), {"a": b"1", "b": b"\0\xff"})

    def test_beside_ours(self):
        self.store.set("k", b"v")
        self.refused(ValueError, "Python NADB",
                     self.store.create_incremental_backup, "full")
        self.store.create_backup("new")
        self.store.create_incremental_backup("new", "newer")
        self.assertEqual([b.backup_id for b in self.store.list_backups()],
                         ["full", "inc", "new", "newer"])
        manager = self.store.backup_manager
        self.refused(ValueError, "inc", manager.delete_backup, "full")
        self.assertEqual(manager.cleanup_old_backups(30, 2), 2)
        self.assertEqual([b.backup_id for b in self.store.list_backups()],
                         ["new", "newer"])
        self.assertEqual(sorted(os.listdir("backups")), [
            ".nadb-backups", "metadata.json", "new", "newer"])

    def test_damage(self):
        file = self.write("bad", 1, [("k", b"v", [], None)])
        file.write_bytes(file.read_bytes() + b"x")
        self.assertIs(self.store.verify_backup("bad"), False)
        self.refused(RuntimeError, "bad", self.store.restore_backup, "bad")
        os.unlink("backups/full/data.json.gz")
        self.assertIs(self.store.verify_backup("inc"), False)
        self.write("lost", 1, [], parent="gone")
        self.assertIs(self.store.verify_backup("lost"), False)
        self.write("../outside", 1, [("k", b"v", [], None)])
        self.assertIs(self.store.verify_backup("../outside"), False)
        self.assertEqual(len(self.store), 0)
        Path("backups/metadata.json").write_text("{")
        self.refused(ValueError, "metadata.json", self.store.list_backups)
