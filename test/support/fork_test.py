"""fork_test.py - a fork with a store open (procs.test).

usage: fork_test.py library folder

Prints "ok NAME" or "not ok NAME: what happened".
"""
import os
import sqlite3
import sys
import threading
import time

import cases
from cases import say

folder = sys.argv[2]


def connect():
    db = cases.connect()
    db.execute(f"CREATE VIRTUAL TABLE kv USING nadb(path='{folder}/fork', "
               "buffer_size_mb=0.1)")
    return db


def attempt(db, sql):
    try:
        return db.execute(sql).fetchall()
    except sqlite3.Error as error:
        return str(error)


def in_child(work):
    """Runs work() in a forked process; its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            code = work() or 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def child():
    for name, sql in (
        ("read", "SELECT value FROM kv WHERE key = 'a'"),
        ("scan", "SELECT * FROM kv"),
        ("write", "REPLACE INTO kv(key) VALUES('inherited')"),
    ):
        got = attempt(parent_db, sql)
        say(f"inherited-{name}-refuses",
            isinstance(got, str) and
            "this connection was opened before fork(): open a new one" in got,
            got)
    fresh = connect()
    got = attempt(fresh, "SELECT value FROM kv WHERE key = 'a'")
    say("new-connection-reads", got == [("1",)] or got == [(1,)], got)
    attempt(fresh, "REPLACE INTO kv(key, value) VALUES('child', 2)")
    got = attempt(fresh, "SELECT count(*) FROM kv")
    say("new-connection-writes", got == [(2,)], got)
    got = attempt(fresh, "SELECT nadb_flush('kv')")
    say("new-connection-flushes", isinstance(got, list), got)
    fresh.close()
    return 0


def child_in_the_middle():
    # A transaction that has written is open: neither it nor what it has read
    # is the child's.
    for name, sql in (
        ("read", "SELECT value FROM kv WHERE key = 'a'"),
        ("scan", "SELECT * FROM kv"),
        ("tags", "SELECT * FROM nadb_tags('kv')"),
        ("write", "REPLACE INTO kv(key) VALUES('inherited')"),
        ("delete", "DELETE FROM kv WHERE key = 'a'"),
        ("incr", "SELECT nadb_incr('kv', 'n')"),
        ("commit", "COMMIT"),
    ):
        got = attempt(parent_db, sql)
        say(f"in-the-middle-{name}-refuses",
            isinstance(got, str) and "was opened before fork()" in got, got)
    return 0


def child_with_cursor():
    for name, work in (
        ("other", lambda: parent_db.execute(
            "SELECT value FROM kv WHERE key = 'a'").fetchone()),
        ("goes-on", lambda: cursor.fetchall()),
    ):
        try:
            got = work()
        except sqlite3.Error as error:
            got = str(error)
        say(f"open-cursor-{name}-refuses",
            isinstance(got, str) and "was opened before fork()" in got, got)
    return 0


def child_in_transaction():
    # The parent's transaction is open; the child must not end it.
    parent_db.close()
    return 0


parent_db = connect()
parent_db.execute("REPLACE INTO kv(key, value) VALUES('a', 1)")
say("child-ends-well", in_child(child) == 0)
got = attempt(parent_db, "SELECT key FROM kv")
say("parent-sees-child", got == [("a",), ("child",)], got)

parent_db.execute("BEGIN")
parent_db.execute("REPLACE INTO kv(key, value) VALUES('b', 3)")
code = in_child(child_in_transaction)
say("child-closes-inherited", code == 0, code)
code = in_child(child_in_the_middle)
say("child-ends-in-the-middle", code == 0, code)
parent_db.execute("COMMIT")
got = attempt(parent_db, "SELECT key FROM kv")
say("parent-transaction-goes-on", got == [("a",), ("b",), ("child",)], got)

# One that is so large that it is in files, which both processes have mapped.
parent_db.execute("BEGIN")
parent_db.execute("""
    WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000)
    REPLACE INTO kv(key, value) SELECT 'l' || i, 'large' FROM c""")
for name, work in (("closes", child_in_transaction),
                   ("goes-on", child_in_the_middle)):
    code = in_child(work)
    say(f"child-{name}-in-large", code == 0, code)
    got = attempt(parent_db, "SELECT count(*) FROM kv WHERE value = 'large'")
    say(f"child-{name}-parent-has-large", got == [(3000,)], got)
parent_db.execute("ROLLBACK")

cursor = parent_db.execute("SELECT key FROM kv")
cursor.fetchone()
code = in_child(child_with_cursor)
say("child-with-cursor-ends", code == 0, code)
got = cursor.fetchall()
say("parent-cursor-goes-on", got == [("b",), ("child",)], got)

# The parent's background threads flush and compact at the fork, and hold locks: a
# child that closes what it has inherited does not wait for them.
def ends(pid):
    """True if the process ends within a minute; kills it otherwise."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if os.waitpid(pid, os.WNOHANG)[0] != 0:
            return True
        time.sleep(0.002)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    return False


busy = cases.connect()
for i in range(3):
    busy.execute(f"CREATE VIRTUAL TABLE busy{i} USING nadb(path='{folder}/busy', "
                 "buffer_size_mb=0.05, flush_interval=0.01, log='busy.log', "
                 "log_level=debug)")
stuck = 0
for i in range(200):
    table = f"busy{i % 3}"
    busy.execute("BEGIN")
    for key in range(20):
        busy.execute(f"REPLACE INTO {table}(key, value) VALUES(?, randomblob(3000))",
                     (key * i % 400,))
    if i % 2:
        busy.execute("COMMIT")
    open_cursor = busy.execute(f"SELECT key, value FROM {table}")
    open_cursor.fetchone()
    pid = os.fork()
    if pid == 0:
        open_cursor.close()
        busy.close()
        os._exit(0)
    stuck += not ends(pid)
    open_cursor.close()
    if busy.in_transaction:
        busy.execute("ROLLBACK")
    if stuck:
        break
say("child-closes-beside-background", stuck == 0, f"fork {i} got stuck")
for i in range(3):
    got = attempt(busy, f"SELECT nadb_check('busy{i}')")
    say(f"busy{i}-is-sound", got == [("ok",)], got)
busy.close()

# A child that outlives its parent's store: the slot must not stay alive.
pid = os.fork()
if pid == 0:
    os.execvp("sleep", ["sleep", "3"])
parent_db.close()
other = connect()
got = attempt(other, "SELECT nadb_destroy('kv')")
say("dead-parent-is-not-alive", isinstance(got, list), got)
os.kill(pid, 9)
os.waitpid(pid, 0)


# Forks while other threads open and close the store: no child keeps a slot.
def come_and_go():
    while not stop.is_set():
        db = connect()
        attempt(db, "REPLACE INTO kv(key) VALUES('x')")
        db.close()


stop = threading.Event()
threads = [threading.Thread(target=come_and_go) for _ in range(2)]
for thread in threads:
    thread.start()
children = []
for _ in range(20):
    time.sleep(0.003)
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    children.append(pid)
stop.set()
for thread in threads:
    thread.join()
other = connect()
got = attempt(other, "SELECT nadb_destroy('kv')")
say("forked-while-opening-keeps-nothing", isinstance(got, list), got)
ended = [pid for pid in children if os.waitpid(pid, os.WNOHANG) != (0, 0)]
say("forked-while-opening-lives", ended == [], ended)
for pid in set(children) - set(ended):
    os.kill(pid, 9)
    os.waitpid(pid, 0)
