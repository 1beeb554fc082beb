"""Queries by tags and other columns, in pages, with a cache of answers.

The indexes are the table's own, exact at any time. The cache keeps answers,
and an answer is taken from it only while it is still right: while nothing has
been committed to the store, by any process, and no row of it has expired.
"""
from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Dict, List, Optional, Set, Tuple

from . import forks, records
from .logging_config import LoggingConfig

if TYPE_CHECKING:
    from .store import KeyValueStore
    from .table import Table


class QueryOperator(Enum):
    """How a condition compares."""
    AND = "and"
    OR = "or"
    NOT = "not"
    IN = "in"
    RANGE = "range"


@dataclass
class QueryCondition:
    """A condition on a field: tags, key, size, ttl, created_at, last_updated
    (or updated_at), last_accessed, expires_at.

    On tags: AND (all of them), OR and IN (one of them), NOT (none of them).
    On others: AND (it is the value), OR and IN (it is one of them), NOT (it is
    none of them), RANGE (from min_value to max_value, both included).
    Times are datetimes, ISO 8601 texts, or seconds since 1970.
    """
    field: str
    operator: QueryOperator
    value: Any = None
    values: Optional[List[Any]] = None
    min_value: Optional[Any] = None
    max_value: Optional[Any] = None


@dataclass
class QueryResult:
    """A page of keys, in their order. Its fields are also its items."""
    keys: List[str]
    total_count: int
    page: int
    page_size: int
    has_more: bool
    execution_time_ms: float
    cache_hit: bool = False

    def __getitem__(self, name: str) -> Any:
        if name not in self.__dataclass_fields__:
            raise KeyError(name)
        return getattr(self, name)


@dataclass
class IndexStats:
    """Numbers of an index."""
    index_name: str
    unique_values: int
    total_entries: int
    memory_usage_bytes: int
    hit_count: int
    miss_count: int
    last_updated: datetime
    avg_query_time_ms: float


class LRUCache:
    """Keeps the values that were asked for last; for any number of threads.

    Args:
        max_size: how many values.
        default_ttl_seconds: for how long; None: for ever.
    """

    def __init__(self, max_size: int = 1000,
                 default_ttl_seconds: Optional[float] = None) -> None:
        self.max_size = max_size
        self.default_ttl = default_ttl_seconds
        self.cache: "OrderedDict[str, Tuple[Any, Optional[float]]]" = \
            OrderedDict()
        self.lock = forks.lock()
        self.hits = 0
        self.misses = 0
        self.expirations = 0

    def get(self, key: str) -> Any:
        """The value, or None."""
        with self.lock:
            entry = self.cache.get(key)
            if entry is not None and entry[1] is not None and \
                    entry[1] <= time.time():
                del self.cache[key]
                self.expirations += 1
                entry = None
            if entry is None:
                self.misses += 1
                return None
            self.cache.move_to_end(key)
            self.hits += 1
            return entry[0]

    def put(self, key: str, value: Any,
            ttl_seconds: Optional[float] = None) -> None:
        """Keeps a value, for ttl_seconds (None: the default, 0: for ever)."""
        ttl = self.default_ttl if ttl_seconds is None else ttl_seconds
        with self.lock:
            self.cache[key] = (value, time.time() + ttl if ttl else None)
            self.cache.move_to_end(key)
            while len(self.cache) > self.max_size:
                self.cache.popitem(last=False)

    def discard(self, key: str) -> None:
        """Forgets a value whose last `get` found it wrong: that is a miss."""
        with self.lock:
            if self.cache.pop(key, None) is not None:
                self.hits -= 1
                self.misses += 1

    def clear(self) -> None:
        """Forgets all values and counts."""
        with self.lock:
            self.cache.clear()
            self.hits = self.misses = self.expirations = 0

    def cleanup_expired(self) -> int:
        """Forgets the values whose time is over; their number."""
        now = time.time()
        with self.lock:
            over = [key for key, (_, until) in self.cache.items()
                    if until is not None and until <= now]
            for key in over:
                del self.cache[key]
            self.expirations += len(over)
            return len(over)

    def get_stats(self) -> Dict[str, Any]:
        """size, max_size, hits, misses, expirations, hit_rate, default_ttl."""
        with self.lock:
            asked = self.hits + self.misses
            return {"size": len(self.cache), "max_size": self.max_size,
                    "hits": self.hits, "misses": self.misses,
                    "expirations": self.expirations,
                    "hit_rate": self.hits / asked if asked else 0.0,
                    "default_ttl": self.default_ttl}


class TagIndex:
    """The tag index of a store's table."""

    def __init__(self, table: "Table") -> None:
        self.table = table

    def _keys(self, tags: List[str], operator: str) -> Set[str]:
        if not tags:
            return set()
        term, parameters = _tags_term(tags, operator)
        return {key for key, in self.table.rows(
            f"SELECT key FROM store WHERE {term}", parameters)}

    def query_tags_and(self, tags: List[str]) -> Set[str]:
        """The keys with all of the tags."""
        return self._keys(tags, "AND")

    def query_tags_or(self, tags: List[str]) -> Set[str]:
        """The keys with one of the tags at least."""
        return self._keys(tags, "OR")

    def get_tag_stats(self) -> Dict[str, Dict[str, Any]]:
        """tag -> count (of rows), query_count, last_queried (a datetime, or
        None), as this process knows them."""
        return {
            tag: {"count": count, "query_count": queries or 0,
                  "last_queried": None if last is None
                  else datetime.fromtimestamp(last)}
            for tag, count, queries, last in self.table.rows(
                "SELECT tag, count, queries, last_queried_at "
                "FROM nadb_tags('store')")}

    def get_popular_tags(self, limit: int = 10) -> List[Tuple[str, int]]:
        """The tags that were asked for most often, with how often."""
        return self.table.rows(
            "SELECT tag, coalesce(queries, 0) FROM nadb_tags('store') "
            "ORDER BY 2 DESC, 1 LIMIT ?", (limit,))


def _tags_term(tags: List[str], operator: str) -> Tuple[str, List[Any]]:
    """The term of WHERE for tags joined by AND or OR. Nothing has the empty
    tag: AND with it finds nothing, and OR leaves it out."""
    known = [tag for tag in tags if tag]
    if not known or (operator == "AND" and len(known) < len(tags)):
        return "0", []
    return "tags MATCH ?", [records.tags_match(known, operator)]


# Fields of conditions, as expressions of SQL.
_FIELDS = {
    "key": "key", "size": "size", "ttl": "ttl", "expires_at": "expires_at",
    "created_at": "created_at", "updated_at": "updated_at",
    "last_updated": "updated_at",
    "last_accessed": "max(coalesce(accessed_at, 0), updated_at)",
    "accessed_at": "max(coalesce(accessed_at, 0), updated_at)",
}
_NO_TIMES = ("key", "size", "ttl")
# Fields that change without a commit: answers about them are not kept.
_MOVING = ("ttl", "last_accessed", "accessed_at")


def _condition_term(condition: QueryCondition) -> Tuple[str, List[Any]]:
    """The term of WHERE for a condition, and its parameters.

    Raises:
        ValueError: there is no such field, or it has no such operator.
    """
    operator = condition.operator
    values = condition.values if condition.values is not None \
        else condition.value
    if values is None:
        values = []
    elif isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        values = [values]
    values = list(values)
    if condition.field == "tags":
        if operator is QueryOperator.RANGE:
            raise ValueError("a condition on tags has no operator 'range': "
                             "it takes and, or, in, not")
        if operator is not QueryOperator.NOT:
            return _tags_term(values, "AND" if operator is QueryOperator.AND
                              else "OR")
        term, parameters = _tags_term(values, "OR")
        return f"NOT coalesce({term}, 0)", parameters
    field = _FIELDS.get(condition.field)
    if field is None:
        raise ValueError(f"a condition has no field {condition.field!r}: it "
                         f"takes tags, {', '.join(sorted(_FIELDS))}")
    as_sql = (lambda value: value) if condition.field in _NO_TIMES \
        else records.unix_time
    if operator is QueryOperator.RANGE:
        limits = [(sign, limit) for sign, limit in
                  ((">=", condition.min_value), ("<=", condition.max_value))
                  if limit is not None]
        return " AND ".join([f"{field} {sign} ?" for sign, _ in limits]
                            or ["1"]), [as_sql(limit) for _, limit in limits]
    places = ", ".join("?" * len(values))
    negated = "NOT " if operator is QueryOperator.NOT else ""
    return f"{negated}coalesce({field} IN ({places}), 0)" if negated \
        else f"{field} IN ({places})", [as_sql(value) for value in values]


class IndexManager:
    """Queries of a store.

    Args:
        kv_store: the store.
        cache_size: how many answers are kept.
    """

    def __init__(self, kv_store: "KeyValueStore",
                 cache_size: int = 10000) -> None:
        self.kv_store = kv_store
        self.query_cache = LRUCache(cache_size)
        self.logger = LoggingConfig.get_logger("index")
        self._stats: Dict[str, Dict[str, Any]] = {
            kind: {"count": 0, "total_time_ms": 0.0, "avg_time_ms": 0.0,
                   "cache_hits": 0}
            for kind in ("tags_and", "tags_or", "complex")}
        self._lock = forks.lock()

    @property
    def tag_index(self) -> TagIndex:
        """The store's tag index."""
        return TagIndex(self.kv_store.table)

    def query_by_tags(self, tags: List[str],
                      operator: QueryOperator = QueryOperator.AND,
                      page: int = 1, page_size: int = 100) -> QueryResult:
        """The keys with all of the tags (AND), or one of them (OR).

        Raises:
            ValueError: another operator, or a page or size below 1.
        """
        if operator not in (QueryOperator.AND, QueryOperator.OR):
            raise ValueError(f"a query by tags has no operator "
                             f"{operator.value!r}: it takes and, or")
        return self._page(f"tags_{operator.value}",
                          [_tags_term(list(tags), operator.name)],
                          page, page_size)

    def complex_query(self, conditions: List[QueryCondition], page: int = 1,
                      page_size: int = 100) -> QueryResult:
        """The keys for which all conditions hold; none without a condition.

        Raises:
            ValueError: a condition that there is not, or a page or size below
                1.
        """
        terms = [_condition_term(condition) for condition in conditions]
        return self._page(
            "complex", terms or [("0", [])], page, page_size,
            keep=not any(condition.field in _MOVING
                         for condition in conditions))

    def _page(self, kind: str, terms: List[Tuple[str, List[Any]]],
              page: int, page_size: int, keep: bool = True) -> QueryResult:
        if page < 1 or page_size < 1:
            raise ValueError(f"page {page} of {page_size} keys: both begin "
                             "at 1")
        start = time.perf_counter()
        where = " AND ".join(term for term, _ in terms)
        parameters = [value for _, values in terms for value in values]
        name = repr((where, parameters, page, page_size))
        sequence = self.kv_store.table.value("SELECT nadb_seq('store')")
        cached = self.query_cache.get(name)
        if cached is not None and cached[0] == sequence:
            with self._lock:
                self._stats[kind]["cache_hits"] += 1
            return replace(cached[1], keys=list(cached[1].keys),
                           cache_hit=True)
        if cached is not None:
            self.query_cache.discard(name)
        keys, count, expires = self._select(where, parameters, page, page_size)
        spent = (time.perf_counter() - start) * 1000
        result = QueryResult(keys, count, page, page_size,
                             page * page_size < count, spent)
        until = None if expires is None else expires - time.time()
        if keep and (until is None or until > 0):
            self.query_cache.put(
                name, (sequence, replace(result, keys=list(keys))), until)
        with self._lock:
            stats = self._stats[kind]
            stats["count"] += 1
            stats["total_time_ms"] += spent
            stats["avg_time_ms"] = stats["total_time_ms"] / stats["count"]
        return result

    def _select(self, where: str, parameters: List[Any], page: int,
                page_size: int) -> Tuple[List[str], int, Optional[float]]:
        """A page, how many keys there are, and when the first of them
        expires; of one moment."""
        def work(connection: Any) -> Tuple[List[str], int, Optional[float]]:
            count, expires = connection.execute(
                f"SELECT count(*), min(expires_at) FROM store WHERE {where}",
                parameters).fetchone()
            keys = [key for key, in connection.execute(
                f"SELECT key FROM store WHERE {where} ORDER BY key "
                "LIMIT ? OFFSET ?",
                [*parameters, page_size, (page - 1) * page_size])]
            return keys, count, expires
        return self.kv_store.table.transaction(work)

    def get_index_stats(self) -> Dict[str, IndexStats]:
        """tag_index -> IndexStats. Times and counts are of this process;
        memory is that of the indexes of what is buffered."""
        table = self.kv_store.table
        tags, entries, queries = table.rows(
            "SELECT count(*), coalesce(sum(count), 0), "
            "coalesce(sum(queries), 0) FROM nadb_tags('store')")[0]
        memory = table.value("SELECT value FROM nadb_stats('store') "
                             "WHERE name = 'index_memory_bytes'")
        with self._lock:
            average = self._stats["tags_and"]["avg_time_ms"]
        return {"tag_index": IndexStats(
            index_name="tag_index", unique_values=tags, total_entries=entries,
            memory_usage_bytes=memory or 0, hit_count=queries, miss_count=0,
            last_updated=datetime.now(), avg_query_time_ms=average)}

    def get_cache_stats(self) -> Dict[str, Dict[str, Any]]:
        """query_cache: that of answers here; metadata_cache: the table's cache
        of rows and values, with its size in bytes."""
        stats = dict(self.kv_store.table.rows(
            "SELECT name, value FROM nadb_stats('store') "
            "WHERE name GLOB 'cache_*'"))
        return {
            "query_cache": self.query_cache.get_stats(),
            "metadata_cache": {
                "size": stats.get("cache_bytes") or 0,
                "hits": stats.get("cache_hits") or 0,
                "misses": stats.get("cache_misses") or 0,
                "hit_rate": stats.get("cache_hit_rate") or 0.0},
        }

    def get_query_stats(self) -> Dict[str, Dict[str, Any]]:
        """tags_and, tags_or, complex -> count and total_time_ms, avg_time_ms
        (of those that the cache had no answer for), cache_hits."""
        with self._lock:
            return {kind: dict(stats) for kind, stats in self._stats.items()}

    def optimize_indexes(self) -> None:
        """Forgets answers whose time is over, and compacts the table."""
        self.query_cache.cleanup_expired()
        self.kv_store.table.value("SELECT nadb_compact('store')")

    def rebuild_indexes(self) -> int:
        """Makes the table's indexes anew from its rows; how many entries
        differed. Those of a Redis server are put right by compacting, which
        does not count: 0."""
        self.clear_caches()
        if self.kv_store.is_redis_backend:
            self.kv_store.table.value("SELECT nadb_compact('store')")
            return 0
        return self.kv_store.table.value("SELECT nadb_reindex('store')")

    def clear_caches(self) -> None:
        """Forgets all answers, and what the table has cached."""
        self.query_cache.clear()
        self.kv_store.table.value("SELECT nadb_cache_clear('store')")
