"""Queries: by tags, by metadata, complex ones, pages, the cache."""
import time
from datetime import datetime, timedelta

from nadb import (IndexManager, KeyValueStore, QueryCondition, QueryOperator,
                  QueryResult)
from nadb.index_manager import LRUCache
from support import StoreTest, keys, wait_for


class Queries(StoreTest):
    def setUp(self):
        super().setUp()
        self.store = self.open()
        for key, size, tags in (
                ("user:1", 10, ["user", "eu"]), ("user:2", 200, ["user"]),
                ("page:1", 3000, ["page", "eu", "old"]), ("plain", 5, None)):
            self.store.set(key, b"x" * size, tags)

    def test_by_tags(self):
        found = self.store.query_by_tags(["eu"])
        self.assertEqual(keys(found), ["page:1", "user:1"])
        self.assertEqual(found["user:1"]["tags"], ["eu", "user"])
        self.assertEqual(keys(self.store.query_by_tags(["eu", "user"])),
                         ["user:1"])
        self.assertEqual(self.store.query_by_tags(["none"]), {})
        self.assertEqual(self.store.query_by_tags([""]), {})
        self.assertEqual(len(self.store.query_by_tags([])), 4)
        self.assertEqual(self.store.list_all_tags(),
                         {"eu": 2, "old": 1, "page": 1, "user": 2})

    def test_by_metadata(self):
        def found(**query):
            return keys(self.store.query_metadata(query))
        self.assertEqual(found(key="ser:"), ["user:1", "user:2"])
        self.assertEqual(found(key="USER"), ["user:1", "user:2"])
        self.assertEqual(found(key="user:*"), ["user:1", "user:2"])
        self.assertEqual(found(key="*:1"), ["page:1", "user:1"])
        self.assertEqual(found(key="%"), [])
        self.assertEqual(found(key="_"), [])
        self.assertEqual(found(min_size=200), ["page:1", "user:2"])
        self.assertEqual(found(min_size=10, max_size=200),
                         ["user:1", "user:2"])
        self.assertEqual(found(tags=["eu"], max_size=10), ["user:1"])
        self.assertEqual(found(tags=None, min_size=None, key="plain"),
                         ["plain"])
        self.refused(ValueError, "'kye'", self.store.query_metadata,
                     {"kye": "x"})

    def test_by_time(self):
        last = self.store.get_with_metadata("plain")["metadata"]
        border = datetime.fromisoformat(last["last_updated"]) + \
            timedelta(milliseconds=1)
        self.assertTrue(wait_for(lambda: datetime.now() >
                                 border + timedelta(milliseconds=2)))
        self.store.set("user:1", b"later")
        self.store.set("new", b"later")
        self.store.get("plain")

        def found(**query):
            return keys(self.store.query_metadata(query))
        for moment in (border, border.isoformat(), border.timestamp()):
            self.assertEqual(found(created_after=moment), ["new"])
            self.assertEqual(found(created_before=moment),
                             ["page:1", "plain", "user:1", "user:2"])
            self.assertEqual(found(updated_after=moment), ["new", "user:1"])
            self.assertEqual(found(updated_before=moment),
                             ["page:1", "plain", "user:2"])
            self.assertEqual(found(accessed_after=moment), [
                "new", "plain", "user:1"])
            self.assertEqual(found(accessed_before=moment),
                             ["page:1", "user:2"])
        self.refused(ValueError, "", self.store.query_metadata,
                     {"created_after": "yesterday"})
        self.refused(TypeError, "datetime", self.store.query_metadata,
                     {"created_after": []})

    def test_metadata_of_a_whole_db(self):
        other = self.open("other")
        other.set("elsewhere", b"v", ["eu"])
        metadata = self.store.metadata
        found = metadata.query_metadata({"db": "app", "tags": ["eu"]})
        self.assertEqual([(m["namespace"], m["key"]) for m in found],
                         [("ns", "page:1"), ("ns", "user:1"),
                          ("other", "elsewhere")])
        self.assertEqual(keys(metadata.query_metadata(
            {"db": "app", "namespace": "ns", "min_size": 3000})), ["page:1"])
        self.assertEqual(keys(metadata.query_metadata(
            {"namespace": "other", "min_size": 1})), ["elsewhere"])
        self.assertEqual(metadata.query_metadata({"db": "none"}), [])
        self.assertEqual(metadata.query_tags("app", "ns")["eu"], 2)
        self.assertEqual(
            metadata.get_metadata("user:2", "app", "ns")["size"], 200)
        self.assertIsNone(metadata.get_metadata("none", "app", "ns"))
        self.assertTrue(metadata.set_metadata(
            {"key": "user:2", "db": "app", "namespace": "ns", "ttl": 60,
             "tags": ["x"]}))
        self.assertEqual(
            [metadata.get_metadata("user:2", "app", "ns")[name]
             for name in ("ttl", "tags")], [60, ["x"]])
        self.assertTrue(metadata.delete_metadata("user:2", "app", "ns"))
        self.assertNotIn("user:2", self.store)
        metadata.close_connections()
        self.assertIn("user:1", self.store)

    def test_pages(self):
        for i in range(25):
            self.store.set(f"p{i:02}", b"v", ["many"])
        first = self.store.query_by_tags_advanced(["many"], page_size=10)
        self.assertIsInstance(first, QueryResult)
        self.assertEqual((first.keys, first.total_count, first.page,
                          first.page_size, first.has_more),
                         ([f"p{i:02}" for i in range(10)], 25, 1, 10, True))
        last = self.store.query_by_tags_advanced(["many"], "and", 3, 10)
        self.assertEqual((last.keys, last.has_more),
                         ([f"p{i:02}" for i in range(20, 25)], False))
        # as the documents write it
        self.assertEqual(last["total_count"], 25)
        self.assertGreater(last["execution_time_ms"], 0)
        self.refused(KeyError, "count", last.__getitem__, "count")
        either = self.store.query_by_tags_advanced(["old", "user"], "OR")
        self.assertEqual(either.keys, ["page:1", "user:1", "user:2"])
        self.assertEqual(self.store.query_by_tags_advanced([]).keys, [])
        for page, size in ((0, 10), (1, 0), (-1, 10)):
            self.refused(ValueError, "begin at 1",
                         self.store.query_by_tags_advanced, ["many"], "AND",
                         page, size)
        self.refused(ValueError, "'xor'", self.store.query_by_tags_advanced,
                     ["many"], "xor")
        self.refused(ValueError, "'not'", self.store.query_by_tags_advanced,
                     ["many"], "NOT")

    def test_complex(self):
        def found(*conditions):
            return self.store.complex_query(list(conditions)).keys

        def tags(operator, **rest):
            return {"field": "tags", "operator": operator, **rest}
        self.assertEqual(found(tags("or", values=["page", "user"]),
                               tags("and", value=["eu"])),
                         ["page:1", "user:1"])
        self.assertEqual(found(tags("and", value="user")),
                         ["user:1", "user:2"])
        self.assertEqual(found(tags("in", values=["old", "none"])),
                         ["page:1"])
        self.assertEqual(found(tags("not", values=["user", "old"])),
                         ["plain"])
        self.assertEqual(found({"field": "size", "operator": "range",
                                "min_value": 10, "max_value": 200}),
                         ["user:1", "user:2"])
        self.assertEqual(found({"field": "size", "operator": "not",
                                "values": [5, 10]}), ["page:1", "user:2"])
        self.assertEqual(found({"field": "key", "operator": "in",
                                "values": ["plain", "none"]}), ["plain"])
        self.assertEqual(found({"field": "key", "value": "plain"}), ["plain"])
        self.assertEqual(len(found({"field": "created_at",
                                    "operator": "range", "max_value":
                                    datetime.now().isoformat()})), 4)
        self.assertEqual(found({"field": "last_updated", "operator": "RANGE",
                                "min_value": time.time() + 60}), [])
        self.assertEqual(found(), [])
        self.assertEqual(len(found({"field": "size", "operator": "range"})),
                         4)
        self.refused(ValueError, "'colour'", found, {"field": "colour"})
        self.refused(ValueError, "'near'", found, tags("near"))
        self.refused(ValueError, "'range'", found, tags("range"))
        manager = self.store.index_manager
        result = manager.complex_query(
            [QueryCondition("tags", QueryOperator.AND, ["eu"])], 1, 1)
        self.assertEqual((result.keys, result.has_more), (["page:1"], True))


class Cache(StoreTest):
    """An answer comes from the cache while it is right, and no longer."""

    def setUp(self):
        super().setUp()
        self.store = self.open(cache_size=2)
        self.store.set("a", b"1", ["t", "u"])

    def ask(self, tags=("t",), store=None):
        result = (store or self.store).query_by_tags_advanced(list(tags))
        return result.keys, result.cache_hit

    def test_hit(self):
        self.assertEqual(self.ask(), (["a"], False))
        self.assertEqual(self.ask(), (["a"], True))
        self.ask()[0].append("not in the cache")
        self.assertEqual(self.ask(), (["a"], True))
        stats = self.store.get_stats()
        self.assertEqual(stats["cache_stats"]["query_cache"]["hits"], 3)
        self.assertEqual(stats["cache_stats"]["query_cache"]["hit_rate"],
                         0.75)
        query = stats["query_stats"]["tags_and"]
        self.assertEqual((query["count"], query["cache_hits"]), (1, 3))
        self.store.clear_caches()
        self.assertEqual(self.ask(), (["a"], False))

    def test_any_commit_ends_it(self):
        other = KeyValueStore("data", "app", 1, "ns")
        self.addCleanup(other.close)
        for change, expected in (
                (lambda: self.store.set("b", b"2", ["t"]), ["a", "b"]),
                (lambda: other.set("c", b"3", ["t"]), ["a", "b", "c"]),
                (lambda: other.delete("b"), ["a", "c"]),
                (self.store.flushdb, [])):
            self.ask()
            self.assertTrue(self.ask()[1])
            change()
            self.assertEqual(self.ask(), (expected, False))

    def test_expiry_ends_it(self):
        self.store.set_with_ttl("b", b"2", 1, ["t"])
        self.assertEqual(self.ask()[0], ["a", "b"])
        self.assertTrue(wait_for(lambda: "b" not in self.store))
        self.assertEqual(self.ask(), (["a"], False))
        self.assertEqual(self.ask(), (["a"], True))

    def test_what_changes_without_a_commit_is_not_kept(self):
        self.store.set_with_ttl("b", b"2", 3600)
        condition = {"field": "ttl", "operator": "range", "min_value": 60}
        for _ in range(2):
            result = self.store.complex_query([condition])
            self.assertEqual((result.keys, result.cache_hit), (["b"], False))

    def test_size(self):
        self.ask("t"), self.ask("u"), self.ask("tu")
        self.assertFalse(self.ask("t")[1])
        self.assertTrue(self.ask("tu")[1])

    def test_lru(self):
        cache = LRUCache(2, default_ttl_seconds=None)
        cache.put("a", 1)
        cache.put("b", 2)
        self.assertEqual(cache.get("a"), 1)
        cache.put("c", 3)
        self.assertEqual([cache.get(key) for key in "abc"], [1, None, 3])
        cache.put("d", 4, ttl_seconds=0.01)
        self.assertTrue(wait_for(lambda: cache.get("d") is None))
        cache.put("e", 5, ttl_seconds=0.01)
        cache.put("f", 6, ttl_seconds=0)
        self.assertTrue(wait_for(lambda: cache.cleanup_expired() == 1))
        stats = cache.get_stats()
        self.assertEqual((stats["size"], stats["max_size"],
                          stats["expirations"]), (1, 2, 2))
        cache.clear()
        self.assertEqual(cache.get_stats()["hits"], 0)

    def test_indexes(self):
        manager = self.store.index_manager
        self.assertIsInstance(manager, IndexManager)
        self.store.set("b", b"2", ["u"])
        index = manager.tag_index
        self.assertEqual(index.query_tags_and(["t", "u"]), {"a"})
        self.assertEqual(index.query_tags_or(["t", "u"]), {"a", "b"})
        self.assertEqual(index.query_tags_or([]), set())
        for _ in range(9):
            index.query_tags_and(["u"])
        stats = index.get_tag_stats()
        self.assertEqual((stats["t"]["count"], stats["u"]["count"]), (1, 2))
        self.assertGreater(stats["u"]["query_count"], 0)
        self.assertIsInstance(stats["u"]["last_queried"], datetime)
        self.assertEqual(index.get_popular_tags(1)[0][0], "u")
        self.assertEqual(manager.rebuild_indexes(), 0)
        self.store.optimize_indexes()
        self.store.rebuild_indexes()
        self.assertEqual(self.ask("tu")[0], ["a"])
