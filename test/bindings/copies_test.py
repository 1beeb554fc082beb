"""copies_test.py - two copies of SQLite in one process (load.test).

usage: copies_test.py library folder

nadb calls SQLite through one table of functions. The copy that loads it first
goes on working; the second one is told why it cannot have it.
"""
import ctypes
import os
import re
import shutil
import sqlite3
import sys

lib, folder = sys.argv[1:3]


def check(name, ok, got):
    print(f"ok {name}" if ok else f"not ok {name}: got {got!r:.300}",
          flush=True)


def system_sqlite():
    with open("/proc/self/maps", encoding="utf-8") as maps:
        return re.search(r"/\S*libsqlite3\.so\S*", maps.read()).group(0)


class Copy:
    """A copy of SQLite and one connection of it."""

    def __init__(self, name):
        path = os.path.join(folder, name + ".so")
        shutil.copy(system_sqlite(), path)
        self.api = ctypes.CDLL(path)
        self.api.sqlite3_errmsg.restype = ctypes.c_char_p
        self.db = ctypes.c_void_p()
        self.api.sqlite3_open(b":memory:", ctypes.byref(self.db))
        self.api.sqlite3_enable_load_extension(self.db, 1)

    def load(self):
        """(code, message)"""
        message = ctypes.c_char_p()
        code = self.api.sqlite3_load_extension(
            self.db, lib.encode(), None, ctypes.byref(message))
        return code, (message.value or b"").decode()

    def run(self, sql):
        message = ctypes.c_char_p()
        code = self.api.sqlite3_exec(
            self.db, sql.encode(), None, None, ctypes.byref(message))
        return code, (message.value or b"").decode()


table = ("CREATE VIRTUAL TABLE kv USING nadb(backend=memory);"
         "INSERT INTO kv(key) VALUES('a'); DROP TABLE kv")
first, second = Copy("one"), Copy("two")
check("first", first.load() == (0, ""), first.load())
got = second.load()
check("second-refused",
      got[0] == 1 and re.search("another copy of SQLite", got[1]), got)
got = second.run(table)
check("second-without", got == (1, "no such module: nadb"), got)
check("second-alive", second.run("SELECT 1") == (0, ""), second.run("SELECT 1"))
got = first.run(table)
check("first-works", got == (0, ""), got)
check("first-again", first.load() == (0, ""), first.load())
