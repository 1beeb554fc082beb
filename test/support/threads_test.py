"""threads_test.py - threads on stores (procs.test).

usage: threads_test.py library folder seconds

Prints "ok NAME" or "not ok NAME: what happened".
"""
import fcntl
import os
import random
import sqlite3
import struct
import sys
import threading
import time

import cases
from cases import say

folder = sys.argv[2]
seconds = float(sys.argv[3])
SQLITE_BUSY = 5


def connect(*stores):
    db = cases.connect()
    for store in stores:
        db.execute(f"CREATE VIRTUAL TABLE {store} USING "
                   f"nadb(path='{folder}/threads', busy_timeout=200)")
    return db


def run(name, workers, limit):
    """Runs the workers at once; False if one does not end in time."""
    errors = []

    def guarded(work):
        try:
            work()
        except Exception as error:  # shown as the test's failure
            errors.append(repr(error))

    threads = [threading.Thread(target=guarded, args=(work,), daemon=True)
               for work in workers]
    for thread in threads:
        thread.start()
    end = time.monotonic() + limit
    for thread in threads:
        thread.join(max(0, end - time.monotonic()))
    stuck = sum(thread.is_alive() for thread in threads)
    say(f"{name}-ends", stuck == 0, f"{stuck} threads are stuck")
    say(f"{name}-no-error", not errors, errors[:3])


def busy(error):
    return getattr(error, "sqlite_errorcode", SQLITE_BUSY) & 255 == SQLITE_BUSY


# --- two stores, written in opposite orders ---
commits = [0, 0]
refused = [0, 0]


def opposite(me):
    stores = ("s1", "s2") if me == 0 else ("s2", "s1")
    db = connect("s1", "s2")
    end = time.monotonic() + seconds
    n = 0
    # However slow the machine is: each gets on.
    while time.monotonic() < end or (min(commits) <= 20 and
                                     time.monotonic() < end + 60):
        n += 1
        try:
            db.execute("BEGIN")
            for store in stores:
                db.execute(f"REPLACE INTO {store}(key, value) "
                           "VALUES('same', ?)", (f"{me}:{n}",))
                db.execute(f"REPLACE INTO {store}(key, value) "
                           "VALUES(?, ?)", (f"own{me}", n))
            db.execute("COMMIT")
            commits[me] += 1
        except sqlite3.OperationalError as error:
            if not busy(error):
                raise
            refused[me] += 1
            if db.in_transaction:
                db.execute("ROLLBACK")
    db.close()


run("opposite-orders", [lambda: opposite(0), lambda: opposite(1)],
    seconds + 300)
say("opposite-orders-progress", min(commits) > 20,
    f"commits {commits}, refused {refused}")
db = connect("s1", "s2")
rows = [db.execute(f"SELECT key, value FROM {s} ORDER BY key").fetchall()
        for s in ("s1", "s2")]
say("opposite-orders-atomic", rows[0] == rows[1], rows)

# --- many threads on one store: readers never wait, counters lose nothing ---
counts = [0] * 4


def increment(me):
    db = connect("s1")
    for _ in range(500):
        db.execute("UPDATE s1 SET value = value + 1 WHERE key = 'n'")
        counts[me] += 1
    db.close()


def read_pairs():
    db = connect("s1")
    end = time.monotonic() + min(seconds, 1)
    while time.monotonic() < end:
        a = db.execute("SELECT value FROM s1 WHERE key IN ('own0', 'n')")
        if len(a.fetchall()) != 2:
            raise RuntimeError("a row is gone")
    db.close()


db.execute("REPLACE INTO s1(key, value) VALUES('n', 0)")
run("increments",
    [lambda i=i: increment(i) for i in range(4)] + [read_pairs] * 2,
    seconds + 300)
got = db.execute("SELECT value FROM s1 WHERE key = 'n'").fetchone()[0]
say("increments-none-lost", got == sum(counts) == 2000, (got, counts))

# --- connections opened and closed by many threads at once ---
def come_and_go():
    for _ in range(30):
        c = connect("s1", "s2")
        c.execute("SELECT count(*) FROM s1").fetchone()
        c.execute("REPLACE INTO s2(key) VALUES('x')")
        c.close()


run("come-and-go", [come_and_go] * 4, 60)
say("check", db.execute("SELECT nadb_check('s1')").fetchone() == ("ok",))


# --- clears beside statements on one key, which wait and never fail ---
ONE_KEY = [
    "SELECT nadb_incr('kv', 'a')",
    "INSERT OR REPLACE INTO kv(key, value) VALUES('b', 1)",
    "INSERT OR IGNORE INTO kv(key, value) VALUES('c', 1)",
    "DELETE FROM kv WHERE key = 'c'",
    "UPDATE kv SET value = 2 WHERE key = 'b'",
    "SELECT nadb_pop('kv', 'b')",
    "SELECT nadb_tag('kv', 'b', 'x')",
    "SELECT nadb_untag('kv', 'b', 'x')",
    "SELECT nadb_set_ttl('kv', 'b', 100)",
]
clears = [0]


def one_key(options, statements, until):
    c = cases.connect()
    c.execute(f"CREATE VIRTUAL TABLE kv USING nadb({options}, "
              "namespace='cleared', busy_timeout=60000)")
    while not until():
        for sql in statements:
            c.execute(sql).fetchall()
        clears[0] += statements is not ONE_KEY
    c.close()


for backend in (f"path='{folder}/threads'", "backend='memory'"):
    goal = clears[0] + 300
    enough = lambda: clears[0] >= goal
    clear = ["SELECT nadb_clear('kv')",
             "INSERT OR REPLACE INTO kv(key, value) VALUES('b', 5)"]
    run("clears-" + backend.split("=")[0],
        [lambda: one_key(backend, clear, enough)] +
        [lambda: one_key(backend, ONE_KEY, enough)] * 3, 300)


# --- a store whose opening hangs stands in nobody's way but its own ---
def control_descriptors():
    """How many of this process's files are the control of the slow store."""
    n = 0
    for fd in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
        n += path == f"{folder}/slow/main/slow/control"
    return n


def slow_opening():
    """All bytes of its control are locked: nobody gets in, or knows who is."""
    said = []

    def open_slow():
        c = connect()
        try:
            c.execute("CREATE VIRTUAL TABLE slow USING nadb("
                      f"path='{folder}/slow', busy_timeout=20000)")
            c.execute("REPLACE INTO slow(key) VALUES('s')")
        except sqlite3.Error as error:
            said.append(str(error))
        said.append("done")
        c.close()

    open_slow()
    said.clear()
    control = os.open(f"{folder}/slow/main/slow/control", os.O_RDWR)
    whole = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)
    fcntl.fcntl(control, fcntl.F_OFD_SETLK, whole)
    threads = [threading.Thread(target=open_slow, daemon=True)
               for _ in range(3)]
    for thread in threads:
        thread.start()
    while control_descriptors() < 2:
        time.sleep(0.001)
    c = connect("s1", "s3")
    c.execute("REPLACE INTO s3(key) VALUES('meanwhile')")
    c.execute("SELECT nadb_flush()")
    stores = c.execute("SELECT count(*) FROM nadb_stores").fetchone()[0]
    c.close()
    say("slow-opening-others-go-on", said == [] and stores == 3,
        (said, stores))
    os.close(control)
    for thread in threads:
        thread.join(60)
    say("slow-opening-ends", said == ["done"] * 3, said)


slow_opening()

# --- made, used and destroyed by several threads at once ---
made = [0]
destroyed = [0]


def make_and_destroy(me):
    dice = random.Random(me)
    end = time.monotonic() + min(seconds, 3)
    # However slow the machine is: there are some of both.
    while time.monotonic() < end or (
            (made[0] <= 20 or destroyed[0] == 0) and
            time.monotonic() < end + 60):
        c = cases.connect()
        try:
            c.execute("CREATE VIRTUAL TABLE d USING nadb("
                      f"path='{folder}/made{dice.randrange(2)}')")
            made[0] += 1
            c.execute("REPLACE INTO d(key, value) VALUES(?, 1)", (str(me),))
            n = c.execute("SELECT sum(value) FROM d WHERE key = ?",
                          (str(me),)).fetchone()[0]
            if n != 1:
                raise RuntimeError(f"its row is {n}")
            if dice.randrange(2):
                c.execute("SELECT nadb_destroy('d')")
                destroyed[0] += 1
        except sqlite3.OperationalError as error:
            # Others have it open: it stays.
            if "has the store open" not in str(error):
                raise
        c.close()


run("make-and-destroy", [lambda i=i: make_and_destroy(i) for i in range(4)],
    seconds + 300)
say("make-and-destroy-both", made[0] > 20 and destroyed[0] > 0,
    (made, destroyed))
