"""nadb_diskcache.py - an nadb table as a Cache of DiskCache, also for what
DiskCache makes of a Cache: Index, Deque and the recipes.

A key of str is TEXT; an int is a BLOB that sorts as the int does; any other key
is a BLOB with its pickle. int, float and str are stored as what they are, other
values as pickles. Keys are iterated in their order, not in that of insertion.
"""
import contextlib
import io
import json
import os
import pickle
import pickletools
import sqlite3
import tempfile
import threading

import diskcache

LIBRARY = os.environ["NADB_LIB"]
FIELDS = "value, expires_at, tags"
INT64 = 2**63


def to_key(key):
    if type(key) is str:
        return key
    if type(key) is int and -INT64 <= key < INT64:
        return b"i" + (key + INT64).to_bytes(8, "big")
    return b"p" + pickletools.optimize(pickle.dumps(key))


def from_key(key):
    if type(key) is str:
        return key
    if key[:1] == b"i":
        return int.from_bytes(key[1:], "big") - INT64
    return pickle.loads(key[1:])


def to_value(value, read=False):
    if read:
        value = value.read()
    native = type(value) in (float, str) or (
        type(value) is int and -INT64 <= value < INT64)
    return value if native else pickle.dumps(value)


def result(row, read, expire_time, tag):
    value = pickle.loads(row[0]) if type(row[0]) is bytes else row[0]
    if read and type(value) is bytes:
        value = io.BytesIO(value)
    parts = [value]
    if expire_time:
        parts.append(row[1])
    if tag:
        parts.append(json.loads(row[2])[0] if row[2] else None)
    return tuple(parts) if len(parts) > 1 else value


def item(row, expire_time, tag):
    """(key, value), or ((key, value), expire time and tag as asked for)."""
    value, *rest = result(row[1:], False, True, True)
    pair = from_key(row[0]), value
    rest = [part for part, asked in zip(rest, (expire_time, tag)) if asked]
    return (pair, *rest) if rest else pair


class NadbCache:
    memoize = diskcache.Cache.memoize  # made of get() and set()

    def __init__(self, directory=None, timeout=60, **_):
        self.directory = str(directory or tempfile.mkdtemp(prefix="nadb-"))
        self.timeout = timeout
        self._local = threading.local()
        self._count = [0, 0]
        self._counting = False
        os.makedirs(self.directory, exist_ok=True)
        self._sql("CREATE VIRTUAL TABLE IF NOT EXISTS kv USING nadb")

    # Each thread of each process has a connection of its own.
    def _connection(self):
        local = self._local
        if getattr(local, "pid", None) != os.getpid():
            local.pid = os.getpid()
            local.db = sqlite3.connect(
                os.path.join(self.directory, "cache.db"),
                timeout=self.timeout, isolation_level=None)
            local.db.enable_load_extension(True)
            local.db.load_extension(LIBRARY)
            local.db.execute("PRAGMA journal_mode = WAL")
        return local.db

    def _sql(self, sql, *values):
        return self._connection().execute(sql, values)

    def close(self):
        if getattr(self._local, "pid", None) == os.getpid():
            self._local.db.close()
            self._local.pid = None

    @contextlib.contextmanager
    def transact(self, retry=False):
        if self._connection().in_transaction:
            yield
            return
        self._sql("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._sql("ROLLBACK")
            raise
        self._sql("COMMIT")

    def _put(self, verb, key, value, expire, read, tag):
        return self._sql(
            f"INSERT OR {verb} INTO kv(key, value, ttl, tags)"
            " VALUES(?, ?, ?, ?)", to_key(key), to_value(value, read), expire,
            None if tag is None else json.dumps([tag])).rowcount > 0

    def set(self, key, value, expire=None, read=False, tag=None, retry=False):
        return self._put("REPLACE", key, value, expire, read, tag)

    def add(self, key, value, expire=None, read=False, tag=None, retry=False):
        return self._put("IGNORE", key, value, expire, read, tag)

    def get(self, key, default=None, read=False, expire_time=False, tag=False,
            retry=False):
        row = self._sql(f"SELECT {FIELDS} FROM kv WHERE key = ?",
                        to_key(key)).fetchone()
        if self._counting:
            self._count[row is None] += 1
        if row is None:
            return result((default, None, None), False, expire_time, tag)
        return result(row, read, expire_time, tag)

    def read(self, key, retry=False):
        return io.BytesIO(self[key])

    def pop(self, key, default=None, expire_time=False, tag=False,
            retry=False):
        with self.transact():
            row = self._sql(f"SELECT {FIELDS} FROM nadb_pop('kv', ?)",
                            to_key(key)).fetchone()
        return result(row or (default, None, None), False, expire_time, tag)

    def delete(self, key, retry=False):
        return self._sql("DELETE FROM kv WHERE key = ?",
                         to_key(key)).rowcount > 0

    def touch(self, key, expire=None, retry=False):
        return self._sql("SELECT nadb_set_ttl('kv', ?, ?)", to_key(key),
                         expire).fetchone()[0] > 0

    def incr(self, key, delta=1, default=0, retry=False):
        number, = self._sql("SELECT nadb_incr('kv', ?, ?, ?)", to_key(key),
                            delta, default).fetchone()
        if number is None:
            raise KeyError(key)
        return number

    def decr(self, key, delta=1, default=0, retry=False):
        return self.incr(key, -delta, default)

    def evict(self, tag, retry=False):
        return self._sql("DELETE FROM kv WHERE tag = ?", tag).rowcount

    def expire(self, now=None, retry=False):
        return self._sql("SELECT nadb_purge_expired('kv')").fetchone()[0]

    def clear(self, retry=False):
        return self._sql("SELECT nadb_clear('kv')").fetchone()[0]

    def check(self, fix=False, retry=False):
        answer, = self._sql("SELECT nadb_check('kv')").fetchone()
        return [] if answer == "ok" else answer.splitlines()

    def stats(self, enable=True, reset=False):
        counts = tuple(self._count)
        if reset:
            self._count = [0, 0]
        self._counting = enable
        return counts

    def peekitem(self, last=True, expire_time=False, tag=False, retry=False):
        row = self._sql(f"SELECT key, {FIELDS} FROM kv ORDER BY key"
                        f" {'DESC' if last else 'ASC'} LIMIT 1").fetchone()
        if row is None:
            raise KeyError("the cache is empty")
        return item(row, expire_time, tag)

    # A queue has the keys from 0 to 999999999999999, or those with its prefix
    # and 15 digits, and begins in their middle.
    def _end(self, prefix, side):
        key = (lambda n: n) if prefix is None else (lambda n:
                                                    f"{prefix}-{n:015}")
        return self._sql(
            f"SELECT key, {FIELDS} FROM kv WHERE key > ? AND key < ?"
            f" ORDER BY key {'ASC' if side == 'front' else 'DESC'} LIMIT 1",
            to_key(key(0)), to_key(key(10**15 - 1))).fetchone(), key

    def push(self, value, prefix=None, side="back", expire=None, read=False,
             tag=None, retry=False):
        with self.transact():
            row, key = self._end(prefix, side)
            number = 500000000000000
            if row is not None:
                number = int(str(from_key(row[0])).rpartition("-")[2])
                number += 1 if side == "back" else -1
            self.set(key(number), value, expire, read, tag)
        return key(number)

    def peek(self, prefix=None, default=(None, None), side="front",
             expire_time=False, tag=False, retry=False):
        row, _ = self._end(prefix, side)
        return default if row is None else item(row, expire_time, tag)

    def pull(self, prefix=None, default=(None, None), side="front",
             expire_time=False, tag=False, retry=False):
        with self.transact():
            row, _ = self._end(prefix, side)
            found = self.peek(prefix, default, side, expire_time, tag)
            if row is not None:
                self._sql("DELETE FROM kv WHERE key = ?", row[0])
        return found

    # All at once: a SELECT that has not ended is a read transaction, in which
    # SQLite does not wait for another writer.
    def iterkeys(self, reverse=False):
        rows = self._sql("SELECT key FROM kv ORDER BY key"
                         f" {'DESC' if reverse else 'ASC'}").fetchall()
        return (from_key(key) for key, in rows)

    def __iter__(self):
        return self.iterkeys()

    def __reversed__(self):
        return self.iterkeys(reverse=True)

    def __len__(self):
        return self._sql("SELECT count(*) FROM kv").fetchone()[0]

    def __contains__(self, key):
        return self._sql("SELECT 1 FROM kv WHERE key = ?",
                         to_key(key)).fetchone() is not None

    def __getitem__(self, key):
        value = self.get(key, default=diskcache.core.ENOVAL)
        if value is diskcache.core.ENOVAL:
            raise KeyError(key)
        return value

    def __setitem__(self, key, value):
        self.set(key, value)

    def __delitem__(self, key):
        if not self.delete(key):
            raise KeyError(key)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __getstate__(self):
        return self.directory, self.timeout

    def __setstate__(self, state):
        self.__init__(*state)
