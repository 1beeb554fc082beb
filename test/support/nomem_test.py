"""nomem_test.py - SQLite itself runs out of memory in a mixed COMMIT (fault.test).

usage: nomem_test.py library folder

The n-th allocation of SQLite fails, for each n until a COMMIT succeeds. Whatever
it answers, the ordinary table and the store have the same rows, and the file
fits its store. Prints "ok NAME" or "not ok NAME: what happened".
"""
import ctypes
import os
import sqlite3
import sys

import cases
from cases import say

CONFIG_MALLOC, CONFIG_GETMALLOC = 4, 5
ALLOCATE = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_int)
REALLOCATE = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)


class Methods(ctypes.Structure):
    _fields_ = [("malloc", ALLOCATE), ("free", ctypes.c_void_p),
                ("realloc", REALLOCATE), ("size", ctypes.c_void_p),
                ("roundup", ctypes.c_void_p), ("init", ctypes.c_void_p),
                ("shutdown", ctypes.c_void_p), ("data", ctypes.c_void_p)]


real, mine = Methods(), Methods()
left = None  # allocations until one fails; None: none does


def fails():
    global left
    if left is not None:
        left -= 1
    return left == -1


def configure():
    """Puts our allocator before SQLite's own, of which it is made."""
    sqlite = ctypes.CDLL("libsqlite3.so.0")
    sqlite.sqlite3_shutdown()
    sqlite.sqlite3_config(CONFIG_GETMALLOC, ctypes.byref(real))
    ctypes.memmove(ctypes.byref(mine), ctypes.byref(real), ctypes.sizeof(real))
    mine.malloc = ALLOCATE(lambda n: None if fails() else real.malloc(n))
    mine.realloc = REALLOCATE(
        lambda p, n: None if fails() else real.realloc(p, n))
    return sqlite.sqlite3_config(CONFIG_MALLOC, ctypes.byref(mine)) == 0 and \
        sqlite.sqlite3_initialize() == 0


def rows(db, table):
    return [row[0] for row in db.execute(f"SELECT key FROM {table} ORDER BY key")]


def trial(file, n, reader):
    """True if COMMIT succeeded although allocation n failed, or without it."""
    global left
    db = cases.connect(file)
    db.execute("SELECT count(*) FROM kv").fetchall()
    # A statement that goes on keeps pages, which is another way to find out
    # whether the transaction is mixed.
    cursor = db.execute("SELECT key FROM t") if reader else None
    if cursor is not None:
        cursor.fetchone()
    db.execute("BEGIN")
    db.execute("INSERT INTO t VALUES(?)", (n,))
    db.execute("INSERT INTO kv(key) VALUES(?)", (n,))
    left = n
    try:
        db.execute("COMMIT")
        done = True
    except (sqlite3.Error, MemoryError):
        done = False
    enough = left is not None and left >= 0
    left = None
    try:
        db.execute("ROLLBACK")
    except sqlite3.Error:
        pass
    if cursor is not None:
        cursor.close()
    db.close()
    db = cases.connect(file)
    t = rows(db, "t")
    if [str(key) for key in t] != sorted(rows(db, "kv"), key=int):
        raise AssertionError(f"allocation {n}: the halves differ")
    if done != (n in t):
        raise AssertionError(f"allocation {n}: COMMIT said {done}")
    db.close()
    return enough


say("configured", configure())
for mode in "wal", "delete":
    for reader in False, True:
        name = f"{mode}-reader" if reader else mode
        path = os.path.join(sys.argv[2], f"nomem-{name}.db")
        base = cases.connect(path)
        base.execute(f"PRAGMA journal_mode={mode}")
        base.execute("CREATE TABLE t(key)")
        base.execute("CREATE VIRTUAL TABLE kv USING nadb")
        base.execute("INSERT INTO t VALUES(-1)")
        base.execute("INSERT INTO kv(key) VALUES(-1)")
        base.close()
        number, wrong = 0, ""
        try:
            while not trial(path, number, reader) and number < 2000:
                number += 1
        except (AssertionError, sqlite3.Error) as error:
            wrong = str(error)
        say(name, not wrong and number > 10, f"{wrong} ({number})")
