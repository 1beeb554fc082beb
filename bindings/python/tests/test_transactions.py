"""Transactions: all of it, or nothing."""
import threading

from nadb import KeyValueStore, Transaction, TransactionManager
from support import StoreTest


class Transactions(StoreTest):
    def setUp(self):
        super().setUp()
        self.store = self.open()
        self.store.set("old", b"old", ["t"])

    def test_commit(self):
        with self.store.transaction() as tx:
            tx.set("a", b"1", ["x"])
            tx.set_with_ttl("b", b"2", 60, ["x"])
            tx.delete("old")
            tx.delete("never there")
            tx.batch_set([("c", b"3", None), ("d", b"4", ["y"])])
            tx.batch_delete(["d"])
            self.assertEqual(tx.get_operation_count(), 7)
            # nothing is seen before the end
            self.assertEqual(self.store.get_all_keys(), ["old"])
            self.assertEqual(
                self.store.get_stats()["active_transactions"], 1)
        self.assertEqual(self.store.get_all_keys(), ["a", "b", "c"])
        self.assertEqual(self.store.list_all_tags(), {"x": 2})
        self.assertEqual(
            self.store.get_with_metadata("b")["metadata"]["ttl"], 60)
        self.assertEqual(self.store.get_stats()["active_transactions"], 0)
        self.assertIn("a", self.store.buffer)

    def test_an_exception_rolls_back(self):
        self.store.set_with_ttl("kept", b"kept", 60, ["k"])
        before = self.store.get_with_metadata("kept")
        with self.assertRaises(ZeroDivisionError):
            with self.store.transaction() as tx:
                tx.set("a", b"1")
                tx.set("kept", b"other")
                tx.delete("old")
                1 / 0
        self.assertEqual(self.store.get_all_keys(), ["kept", "old"])
        after = self.store.get_with_metadata("kept")
        for name in ("last_updated", "ttl", "tags", "created_at"):
            self.assertEqual(after["metadata"][name],
                             before["metadata"][name])
        self.assertEqual(tx.transaction.state.value, "rolled_back")
        self.assertIsNotNone(tx.transaction.rolled_back_at)

    def test_what_is_wrong_is_said_at_once(self):
        for kind, method, arguments in (
                (ValueError, "set", ("", b"v")), (TypeError, "set", ("k", 1)),
                (TypeError, "set", ("k", b"v", "tag")),
                (ValueError, "set_with_ttl", ("k", b"v", 0)),
                (ValueError, "delete", ("",))):
            with self.assertRaises(kind):
                with self.store.transaction() as tx:
                    tx.set("a", b"1")
                    getattr(tx, method)(*arguments)
        self.assertEqual(self.store.get_all_keys(), ["old"])

    def test_what_the_store_refuses_undoes_all(self):
        with self.assertRaises(ValueError):
            with self.store.transaction() as tx:
                tx.set("a", b"1")
                tx.set("k" * 70000, b"v")
        self.assertEqual(self.store.get_all_keys(), ["old"])
        self.assertEqual(tx.transaction.state.value, "rolled_back")

    def test_by_hand(self):
        tx = self.store.begin_transaction("SERIALIZABLE")
        self.assertIsInstance(tx, Transaction)
        self.assertEqual((tx.state.value, tx.isolation_level),
                         ("active", "SERIALIZABLE"))
        manager = self.store.transaction_manager
        self.assertIsInstance(manager, TransactionManager)
        self.assertEqual(manager.get_active_transactions(), [tx])
        operation = tx.add_operation("set", "a", b"1", ["x"])
        self.assertEqual((operation.op_type, operation.key), ("set", "a"))
        tx.add_operation("set_with_ttl", "b", b"2", ttl=60)
        tx.add_operation("delete", "old")
        self.assertIs(self.store.commit_transaction(tx), True)
        self.assertEqual(tx.state.value, "committed")
        self.assertIsNotNone(tx.committed_at)
        self.assertEqual(self.store.get_all_keys(), ["a", "b"])
        self.refused(RuntimeError, "committed",
                     self.store.commit_transaction, tx)
        self.refused(RuntimeError, "committed", tx.add_operation, "set", "c",
                     b"3")
        self.assertIs(self.store.rollback_transaction(tx), False)
        other = self.store.begin_transaction()
        other.add_operation("set", "c", b"3")
        self.assertIs(self.store.rollback_transaction(other), True)
        self.refused(RuntimeError, "rolled_back",
                     self.store.commit_transaction, other)
        bad = self.store.begin_transaction()
        bad.add_operation("rename", "a")
        self.refused(ValueError, "'rename'", self.store.commit_transaction,
                     bad)
        self.assertEqual(bad.state.value, "rolled_back")

    def test_stale_ones(self):
        manager = self.store.transaction_manager
        tx = self.store.begin_transaction()
        manager.cleanup_stale_transactions()  # of an hour ago
        self.assertEqual(tx.state.value, "active")
        manager.cleanup_stale_transactions(0)
        self.assertEqual(tx.state.value, "rolled_back")
        other = self.store.begin_transaction()
        self.store.close()
        self.assertEqual(other.state.value, "rolled_back")

    def test_nobody_sees_half_of_one(self):
        other = KeyValueStore("data", "app", 1, "ns")
        self.addCleanup(other.close)
        seen = set()
        done = threading.Event()

        def look():
            while not done.is_set():
                seen.add(len(other))
        thread = threading.Thread(target=look)
        thread.start()
        for i in range(30):
            with self.store.transaction() as tx:
                tx.batch_set([(f"k{n}", b"%d" % i, None) for n in range(10)])
            with self.store.transaction() as tx:
                tx.batch_delete([f"k{n}" for n in range(10)])
        done.set()
        thread.join()
        self.assertLessEqual(seen, {1, 11})
