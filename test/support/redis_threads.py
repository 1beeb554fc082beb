"""redis_threads.py - threads that share a store on Redis, and its cache
(redis_cache.test), also in shards (redis_shards_commit.test).

usage: redis_threads.py library socket-of-the-server seconds [options]

Prints "ok NAME" or "not ok NAME: what happened".
"""
import sqlite3
import sys
import threading
import time

import cases
from cases import say

server = sys.argv[2]
seconds = float(sys.argv[3])
more = "".join(", " + o for o in sys.argv[4:])
KEYS = 8


def connect():
    db = cases.connect()
    db.execute("CREATE VIRTUAL TABLE kv USING nadb(backend=redis, namespace=th,"
               f" socket='{server}', pool_size=3, cache_size_mb=1{more})")
    return db


def value(db, key):
    return db.execute("SELECT value FROM kv WHERE key = ?", (key,)).fetchone()


errors = []
backwards = []
counts = [0] * 4
reads = [0] * 4
end = time.monotonic() + seconds


def goes_on():
    """Until the end; on a slow machine until enough has been done."""
    now = time.monotonic()
    return now < end or now < end + 60 and (sum(counts) <= 50 or
                                            sum(reads) <= 2000)


def count(me):
    db = connect()
    while goes_on():
        for i in range(KEYS):
            db.execute("UPDATE kv SET value = value + 1 WHERE key = ?",
                       (f"k{i}",))
            counts[me] += 1
            value(db, f"k{i}")
    db.close()


def count_all(me):
    """All rows, in all shards: together, or not at all."""
    db = connect()
    while goes_on():
        try:
            db.execute("UPDATE kv SET value = value + 1")
            counts[me] += KEYS
        except sqlite3.OperationalError as error:
            if "another transaction" not in str(error):
                raise
    db.close()


def read(me):
    db = connect()
    last = [0] * KEYS
    while goes_on():
        for i in range(KEYS):
            (now,) = value(db, f"k{i}")
            reads[me] += 1
            if now < last[i]:
                backwards.append((i, last[i], now))
            last[i] = now
        value(db, "none")
    db.close()


def come_and_go():
    while goes_on():
        db = connect()
        for i in range(40):
            value(db, f"k{i % KEYS}")
        db.close()


def guarded(work, *args):
    try:
        work(*args)
    except Exception as error:  # shown as the test's failure
        errors.append(repr(error))


db = connect()
db.executemany("REPLACE INTO kv(key, value) VALUES(?, 0)",
               [(f"k{i}",) for i in range(KEYS)])
threads = [threading.Thread(target=guarded, args=args, daemon=True)
           for args in ([(count, i) for i in range(2)]
                        + [(count_all, 2)]
                        + [(read, i) for i in range(3)] + [(come_and_go,)])]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(seconds + 300)
say("threads-end", not any(thread.is_alive() for thread in threads))
say("threads-no-error", not errors, errors[:3])
say("threads-never-backwards", not backwards, backwards[:3])
got = db.execute("SELECT sum(value) FROM kv").fetchone()[0]
say("threads-none-lost", got == sum(counts) > 50, (got, counts))
stats = dict(db.execute("SELECT name, value FROM nadb_stats('kv')"))
say("threads-hits", stats["cache_hits"] > 100, stats)
say("threads-check",
    db.execute("SELECT nadb_check('kv')").fetchone() == ("ok",))
print(reads, counts, stats["cache_hits"], stats["cache_misses"])
