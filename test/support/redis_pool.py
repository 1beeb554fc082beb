"""redis_pool.py - a thread that finds all connections to the server in use waits
for pool_timeout, and no longer (redis.test).

usage: redis_pool.py library socket-of-the-server process-of-the-server

Prints "ok NAME" or "not ok NAME: what happened".
"""
import concurrent.futures
import os
import signal
import sqlite3
import sys
import time

import cases
from cases import say

server, process = sys.argv[2], int(sys.argv[3])


def connect():
    db = cases.connect(check_same_thread=False)
    db.execute("CREATE VIRTUAL TABLE kv USING nadb(backend=redis, timeout=30,"
               f" namespace=pool, socket='{server}', pool_size=1,"
               " pool_timeout=0.25, busy_timeout=20000)")
    return db


def get(db, key):
    """What a get says, and how long it took."""
    start = time.monotonic()
    try:
        row = db.execute("SELECT value FROM kv WHERE key = ?",
                         (key,)).fetchone()
    except sqlite3.OperationalError as error:
        row = str(error)
    return row, time.monotonic() - start


one, two = connect(), connect()
one.execute("REPLACE INTO kv(key, value) VALUES('a', 1), ('b', 2), ('c', 3)")
get(two, "none")

# While the server stands still, one has the connection and the other waits.
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    os.kill(process, signal.SIGSTOP)
    try:
        gets = {pool.submit(get, one, "a"): 1, pool.submit(get, two, "b"): 2}
        (refused,), (holder,) = concurrent.futures.wait(
            gets, return_when=concurrent.futures.FIRST_COMPLETED)
    finally:
        os.kill(process, signal.SIGCONT)
row, seconds = refused.result()
say("refused", "pool_size, pool_timeout" in str(row), row)
say("no-longer", 0.2 < seconds < 3, seconds)
say("holder-goes-on", holder.result()[0] == (gets[holder],), holder.result())
row, seconds = get(two, "c")
say("then-it-is-free", row == (3,), row)
