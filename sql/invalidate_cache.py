#!/usr/bin/env python3
"""invalidate_cache.py - a cache in a process that hears what others change.

usage: invalidate_cache.py DATABASE

Reads of table `page` are answered from a dictionary. A thread with a connection
of its own sleeps in nadb_wait and drops from it what was changed. When changes
are not kept far enough back, everything is dropped: that is always right.

Each line of the input is a key; its value is printed, and whether it came from
the cache.
"""
import sqlite3
import sys
import threading


def connect():
    db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
    db.enable_load_extension(True)
    db.load_extension('./nadb')
    return db


class Cache:
    def __init__(self):
        self.db = connect()
        self.lock = threading.Lock()
        self.values = {}
        self.heard = 0  # rises with each message: what was read before is stale
        self.seq, = self.db.execute("SELECT nadb_seq('page')").fetchone()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        db = connect()
        while True:
            reached, = db.execute("SELECT nadb_wait('page', ?, NULL)",
                                  (self.seq,)).fetchone()
            try:
                keys = [key for op, key in db.execute(
                    "SELECT op, key FROM nadb_changes('page', ?)",
                    (self.seq,))]
            except sqlite3.OperationalError:
                keys = [None]  # not kept that far back
            with self.lock:
                self.heard += 1
                for key in keys:
                    if key is None:  # a clear
                        self.values.clear()
                    self.values.pop(key, None)
            self.seq = reached

    def get(self, key):
        with self.lock:
            if key in self.values:
                return self.values[key], True
            heard = self.heard
        row = self.db.execute('SELECT value FROM page WHERE key = ?',
                              (key,)).fetchone()
        value = None if row is None else row[0]
        with self.lock:
            if heard == self.heard:
                self.values[key] = value
        return value, False


db = connect()
db.execute('CREATE VIRTUAL TABLE IF NOT EXISTS page USING nadb'
           '(keep_changes=3600)')
cache = Cache()
print('ready', flush=True)
for line in sys.stdin:
    value, hit = cache.get(line.rstrip('\n'))
    print(value, 'cached' if hit else 'read', flush=True)
