"""wait_test.py - waiting for a Redis server that is silent, and how it ends
(redis_hostile.test).

usage: wait_test.py library folder

Prints "ok NAME" or "not ok NAME: what happened".
"""
import socket
import sqlite3
import sys
import threading
import time

import cases
from cases import say

folder = sys.argv[2]
LONG = 30  # of option timeout, in seconds: what must end before it does so


class Silent:
    """A server that takes connections, and says nothing."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.clients = []
        self.asked = threading.Semaphore(0)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            self.clients.append(client)
            threading.Thread(target=self.listen, args=(client,),
                             daemon=True).start()

    def listen(self, client):
        while client.recv(65536):
            self.asked.release()


def connect(server, options):
    db = cases.connect(f"file:{folder}/{server.port}.db?mode=memory", uri=True,
                       check_same_thread=False)
    db.execute(f"CREATE VIRTUAL TABLE kv USING nadb(backend=redis, "
               f"host=127.0.0.1, port={server.port}, {options})")
    return db


class Statement(threading.Thread):
    """A statement in a thread of its own: what it ends with, and when."""

    def __init__(self, db, sql):
        super().__init__(daemon=True)
        self.db, self.sql, self.error = db, sql, None
        self.start()

    def run(self):
        try:
            self.db.execute(self.sql).fetchall()
        except sqlite3.Error as error:
            self.error = str(error)


def ends_with(thread, text, interrupt=None):
    """Before its own time is over. An interrupt is for who runs: it is said
    again until it was heard."""
    end = time.monotonic() + LONG - 5
    while thread.is_alive() and time.monotonic() < end:
        if interrupt is not None:
            interrupt.interrupt()
        thread.join(0.05)
    return not thread.is_alive() and text in str(thread.error)


STATEMENTS = {
    "get": "SELECT value FROM kv WHERE key = 'k'",
    "list": "SELECT value FROM kv WHERE key IN ('a', 'b')",
    "scan": "SELECT count(*) FROM kv",
    # A tag that is known when the statement is prepared is counted then, which
    # SQLite interrupts not.
    "tags": "SELECT key FROM kv WHERE tag = lower('T')",
    "update": "UPDATE kv SET value = 1 WHERE key = 'k'",
    "function": "SELECT nadb_ttl('kv', 'k')",
}


def interrupt():
    for options in ("", ", shards=3", ", tls=on"):
        for name, sql in STATEMENTS.items():
            server = Silent()
            db = connect(server, f"timeout={LONG}{options}")
            thread = Statement(db, sql)
            asked = server.asked.acquire(timeout=LONG)
            say(f"interrupt-{name}{options.replace(', ', '-')}",
                asked and ends_with(thread, "interrupted", db), thread.error)


def free_connection():
    """All connections are in use: busy_timeout says how long is waited."""
    server = Silent()
    options = f"timeout={LONG}, pool_size=1, busy_timeout=300"
    first = connect(server, options)
    second = connect(server, options)
    holder = Statement(first, STATEMENTS["get"])
    server.asked.acquire(timeout=LONG)
    waiting = Statement(second, STATEMENTS["get"])
    say("free-connection-busy-timeout",
        ends_with(waiting, "connections are in use"), waiting.error)
    # The limit of a store is that of its first table: this waits for `timeout`.
    third = connect(server, options.replace("300", "300000"))
    waiting = Statement(third, STATEMENTS["get"])
    say("free-connection-interrupt",
        ends_with(waiting, "interrupted", third) or
        "connections are in use" in str(waiting.error), waiting.error)
    say("free-connection-holder", ends_with(holder, "interrupted", first),
        holder.error)


interrupt()
free_connection()
