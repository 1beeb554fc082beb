"""redis_pool.py - a thread that finds all connections to the server in use waits
for pool_timeout, and no longer (redis.test).

usage: redis_pool.py library socket-of-the-server

Prints "ok NAME" or "not ok NAME: what happened".
"""
import socket
import sqlite3
import sys
import threading
import time

lib, server = sys.argv[1:3]
PAUSE = 4.0


def say(name, good, detail=""):
    print(f"ok {name}" if good else f"not ok {name}: {detail}", flush=True)


def connect(options):
    db = sqlite3.connect(":memory:", isolation_level=None,
                         check_same_thread=False)
    db.enable_load_extension(True)
    db.execute("SELECT load_extension(?)", (lib,))
    db.execute("CREATE VIRTUAL TABLE kv USING nadb(backend=redis, timeout=30,"
               f" namespace=pool, socket='{server}', pool_size=1, {options})")
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


one, two = (connect("pool_timeout=0.25, busy_timeout=20000") for _ in range(2))
one.execute("REPLACE INTO kv(key, value) VALUES('a', 1), ('b', 2), ('c', 3)")
get(two, "none")

control = socket.socket(socket.AF_UNIX)
control.connect(server)
control.sendall(f"CLIENT PAUSE {int(PAUSE * 1000)}\r\n".encode())
control.recv(100)
first = []
holder = threading.Thread(target=lambda: first.append(get(one, "a")))
holder.start()
time.sleep(0.5)
row, seconds = get(two, "b")
say("refused", "pool_size, pool_timeout" in str(row), row)
say("no-longer", 0.2 < seconds < PAUSE - 1, seconds)
holder.join()
say("holder-goes-on", first[0][0] == (1,), first)
row, seconds = get(two, "c")
say("then-it-is-free", row == (3,), row)
