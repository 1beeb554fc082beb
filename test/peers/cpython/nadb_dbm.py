"""nadb_dbm.py - an nadb table as a module like dbm.sqlite3: open() gives a
mapping of bytes to bytes; other keys and values are made bytes as SQLite's
CAST does."""
import os
import sqlite3
from collections.abc import MutableMapping



class error(OSError):
    pass


def connect(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(os.environ["NADB_LIB"])
    return db


class _Database(MutableMapping):
    _db = None

    def __init__(self, path, /, *, flag, mode):
        if self._db is not None:
            raise error("the database is open")
        if flag not in ("r", "w", "c", "n"):
            raise ValueError("Flag must be one of 'r', 'w', 'c', or 'n', "
                             f"not {flag!r}")
        try:
            if flag == "n" and os.path.exists(path):
                os.unlink(path)  # its store goes with it
            access = os.O_RDONLY if flag == "r" else os.O_RDWR
            create = os.O_CREAT if flag in "cn" else 0
            os.close(os.open(path, access | create, mode))
        except OSError as e:
            raise error(*e.args) from e
        self._db = connect(path)
        try:
            if create:
                self._sql("CREATE VIRTUAL TABLE IF NOT EXISTS Dict USING nadb")
            if flag == "r":
                self._sql("PRAGMA query_only = 1")
        except error:
            self.close()
            raise

    def _sql(self, sql, *values):
        if self._db is None:
            raise error("DBM object has already been closed")
        try:
            return self._db.execute(sql, values)
        except sqlite3.Error as e:
            raise error(str(e)) from e

    def __getitem__(self, key):
        row = self._sql("SELECT CAST(value AS BLOB) FROM Dict"
                        " WHERE key = CAST(? AS BLOB)", key).fetchone()
        if row is None:
            raise KeyError(key)
        return row[0]

    def __setitem__(self, key, value):
        if value is None:
            raise error("a value cannot be None")
        self._sql("INSERT OR REPLACE INTO Dict(key, value)"
                  " VALUES(CAST(? AS BLOB), CAST(? AS BLOB))", key, value)

    def __delitem__(self, key):
        if not self._sql("DELETE FROM Dict WHERE key = CAST(? AS BLOB)",
                         key).rowcount:
            raise KeyError(key)

    def __len__(self):
        return self._sql("SELECT count(key) FROM Dict").fetchone()[0]

    def __iter__(self):
        rows = self._sql("SELECT key FROM Dict")
        try:
            for key, in rows:
                yield key
        except sqlite3.Error as e:
            raise error(str(e)) from e

    def keys(self):
        return list(self)

    def items(self):
        return self._sql("SELECT key, CAST(value AS BLOB) FROM Dict").fetchall()

    def iterkeys(self):
        return iter(self.keys())

    def clear(self):
        self._sql("SELECT nadb_clear('Dict')").fetchone()

    def sync(self):
        self._sql("SELECT nadb_flush('Dict')").fetchone()

    def close(self):
        if self._db is not None:
            self._db.close()
            self._db = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def open(file, /, flag="r", mode=0o666):
    return _Database(os.fsdecode(file), flag=flag, mode=mode)
