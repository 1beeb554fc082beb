"""threads_test.py - threads on stores (procs.test).

usage: threads_test.py library folder seconds

Prints "ok NAME" or "not ok NAME: what happened".
"""
import sqlite3
import sys
import threading
import time

lib, folder = sys.argv[1:3]
seconds = float(sys.argv[3])
SQLITE_BUSY = 5


def say(name, good, detail=""):
    print(f"ok {name}" if good else f"not ok {name}: {detail}", flush=True)


def connect(*stores):
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.enable_load_extension(True)
    db.execute("SELECT load_extension(?)", (lib,))
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
    while time.monotonic() < end:
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
    seconds + 20)
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
    seconds + 30)
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
