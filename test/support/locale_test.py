"""locale_test.py - the host program's locale changes nothing (locale.test).

usage: locale_test.py library folder locale redis-socket

Runs the same statements in locale C and in the other one, and compares. Prints
"ok NAME" or "not ok NAME: what happened".
"""
import locale
import sqlite3
import sys

lib, folder, name, socket = sys.argv[1:5]
BACKENDS = {
    "memory": "BACKEND='MEMORY'",
    "fs": "path='{folder}/{n}', BUFFER_SIZE_MB=0.5, flush_interval=1.5e-1,"
          " SYNCHRONOUS=NORMAL, COMPRESSION=ON, MMAP=OFF",
    "redis": "backend=redis, SOCKET='{socket}', timeout=62.5, db='{n}'",
}
SQL = """
INSERT INTO kv(key, value, tags, ttl) VALUES(5.5, 1.5, '["a,b","1.5"]', 1.5e6);
INSERT INTO kv(key, value) VALUES('1e3', -1e-300), ('huge', 9e999), (1e100, 0.1);
UPDATE kv SET value = value + 0.25 WHERE key = (SELECT r FROM o WHERE id = 1);
SELECT key, value, typeof(value), tags, ttl > 1.4e6 FROM kv ORDER BY key;
DELETE FROM kv WHERE key = (SELECT r FROM o WHERE id = 2);
SELECT key FROM kv WHERE key = (SELECT r FROM o WHERE id = 1);
SELECT key FROM kv WHERE tag = '1.5';
SELECT key FROM kv WHERE tags MATCH 'a,b AND 1.5';
UPDATE kv SET expires_at = 4000000000.125 WHERE key = 'huge';
SELECT expires_at FROM kv WHERE expires_at > 4000000000.0625;
SELECT nadb_set_ttl('kv', 'huge', 2.5e6), nadb_ttl('kv', 'huge') > 2.4e6;
SELECT json_valid(nadb_compact('kv'));
SELECT typeof(value), value < 1e9 FROM nadb_stats('kv') WHERE name = 'count';
SELECT nadb_check('kv');
"""


def answers(n, options):
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.enable_load_extension(True)
    db.execute("SELECT load_extension(?)", (lib,))
    options = options.format(folder=folder, socket=socket, n=n)
    out = []
    db.execute(f"CREATE VIRTUAL TABLE kv USING nadb({options})")
    db.execute("CREATE TABLE o(id INTEGER PRIMARY KEY, r REAL)")
    db.execute("INSERT INTO o VALUES(1, 5.5), (2, 1000.0)")
    for statement in SQL.strip().split("\n"):
        cursor = db.execute(statement)
        rows = cursor.fetchall()
        changes = db.execute("SELECT total_changes()").fetchone()
        out.append((statement, changes, rows))
    db.execute("SELECT nadb_flush('kv')")
    db.close()
    # Reading it again, by a connection that knows nothing yet.
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.enable_load_extension(True)
    db.execute("SELECT load_extension(?)", (lib,))
    if "MEMORY" not in options:
        db.execute(f"CREATE VIRTUAL TABLE kv USING nadb({options})")
        out.append(db.execute("SELECT key, value FROM kv").fetchall())
    db.close()
    return out


for backend, options in BACKENDS.items():
    if backend == "redis" and not socket:
        continue
    locale.setlocale(locale.LC_ALL, "C")
    want = answers("c", options)
    locale.setlocale(locale.LC_ALL, name)
    got = answers("l", options)
    wrong = [(a, b) for a, b in zip(want, got) if a != b]
    same = not wrong and len(want) == len(got)
    print(f"ok {backend}" if same else f"not ok {backend}: {wrong[:2]}",
          flush=True)
