"""nadb_cache.py - an nadb table as a cache of cachelib. An int is stored as an
INTEGER, which SQL can count with; anything else as a pickle."""
import json
import pickle
import sqlite3

from cachelib import BaseCache

SOME = "key IN (SELECT value FROM json_each(?))"


class NadbCache(BaseCache):
    def __init__(self, file, library, default_timeout=300):
        super().__init__(default_timeout)
        self._db = sqlite3.connect(file, isolation_level=None,
                                   check_same_thread=False)
        self._db.enable_load_extension(True)
        self._db.load_extension(library)
        self._sql("CREATE VIRTUAL TABLE IF NOT EXISTS kv USING nadb")

    def _sql(self, sql, *values):
        return self._db.execute(sql, values)

    def _row(self, key, value, timeout):
        return (key, value if type(value) is int else pickle.dumps(value),
                self._ttl(timeout))

    def _ttl(self, timeout):
        return self._normalize_timeout(timeout) or None  # 0 is for ever

    def get(self, key):
        return self.get_many(key)[0]

    def get_many(self, *keys):
        found = {key: value if type(value) is int else pickle.loads(value)
                 for key, value in self._sql(
                     f"SELECT key, value FROM kv WHERE {SOME}",
                     json.dumps(keys))}
        return [found.get(key) for key in keys]

    def set(self, key, value, timeout=None):
        return bool(self.set_many({key: value}, timeout))

    def set_many(self, mapping, timeout=None):
        self._db.executemany(
            "INSERT OR REPLACE INTO kv(key, value, ttl) VALUES(?, ?, ?)",
            [self._row(*item, timeout) for item in mapping.items()])
        return list(mapping)

    def add(self, key, value, timeout=None):
        return self._sql(
            "INSERT OR IGNORE INTO kv(key, value, ttl) VALUES(?, ?, ?)",
            *self._row(key, value, timeout)).rowcount > 0

    def delete(self, key):
        return self._sql("DELETE FROM kv WHERE key = ?", key).rowcount > 0

    def has(self, key):
        return self._sql("SELECT 1 FROM kv WHERE key = ?",
                         key).fetchone() is not None

    def clear(self):
        self._sql("SELECT nadb_clear('kv')").fetchone()
        return True

    def inc(self, key, delta=1):
        return self._sql("SELECT nadb_incr('kv', ?, ?, 0, ?)", key, delta,
                         self._ttl(None)).fetchone()[0]

    def dec(self, key, delta=1):
        return self.inc(key, -delta)
