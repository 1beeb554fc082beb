"""scenario.py ADAPTER [second] - the scenario through a driver of Python.

ADAPTER is a file that defines, with the code of the binding's page:
rows(sql, args), transaction() as a context, reopen(), Duplicate, VERSION.
"""
import importlib.util
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.environ["BLOCKS"])
spec = importlib.util.spec_from_file_location("adapter", sys.argv[1])
db = importlib.util.module_from_spec(spec)
spec.loader.exec_module(db)

TEXT = "Grüße, 世界 😀"
PUT = "INSERT INTO kv(key, value) VALUES(?, ?)"


def one(sql, *args):
    found = db.rows(sql, args)
    return found[0][0] if found else None


def get(key, column="value"):
    return one(f"SELECT {column} FROM kv WHERE key = ?", key)


def say(*words):
    print(*words, flush=True)


if sys.argv[2:]:
    with db.transaction():
        db.rows(PUT, ("second", 2))
    say("second-reads", get("text"))
    sys.exit()

say("#", db.VERSION + ", SQLite", one("SELECT sqlite_version()"))
with open("binary", "rb") as f:
    binary = f.read()
db.rows("CREATE VIRTUAL TABLE kv USING nadb")
db.rows("CREATE TABLE plain(x)")
with db.transaction():
    for pair in [("text", TEXT), ("binary", binary), ("integer", 42),
                 ("real", 1.5), ("big", 9007199254740993), ("null", None),
                 (5, "five")]:
        db.rows(PUT, pair)
    db.rows("INSERT INTO kv(key, value, tags, ttl) VALUES(?, ?, ?, ?)",
               ("tagged", 1, '["b", "a"]', 3600))
say("text", get("text"))
say("binary", "same" if get("binary") == binary else "different")
say("binary-type", get("binary", "typeof(value)"), get("binary", "size"))
say("integer", get("integer"))
say("real", get("real"))
say("big", get("big"), get("big", "typeof(value)"))
say("null", get("null", "typeof(value)") if get("null") is None else "no")
say("missing", len(db.rows("SELECT 1 FROM kv WHERE key = ?", ("nosuch",))))
say("tags", get("tagged", "tags"))
say("tag", one("SELECT key FROM kv WHERE tag = ? AND tag = ?", "a", "b"))
say("match", one("SELECT key FROM kv WHERE tags MATCH ?", "a NOT c"))
say("ttl", get("tagged", "ttl > 3500 AND ttl <= 3600"))
say("number-key", one("SELECT key FROM kv WHERE key = ?", 5), get(5))
incr = "SELECT nadb_incr('kv', ?, ?)"
with db.transaction():
    say("incr", one(incr, "n", 2), one(incr, "n", 2))
    say("pop", one("SELECT nadb_pop('kv', ?)", "n"))
    db.rows("INSERT INTO kv(key, ttl) VALUES(?, ?)", ("brief", 0.05))
while get("brief", "1"):
    time.sleep(0.005)
say("expired", one("SELECT count(*) FROM kv WHERE key = ?", "brief"))
try:
    with db.transaction():
        db.rows("REPLACE INTO kv(key, value) VALUES(?, ?)", ("text", "lost"))
        db.rows(PUT, ("lost", 1))
        db.rows("INSERT INTO plain VALUES(1)")
        db.rows("UPDATE kv SET tags = NULL WHERE tag = ?", ("a",))
        count = "SELECT count(*) FROM kv WHERE tag = 'a'"
        say("inside", get("text"), one(count))
        raise KeyError("roll back")
except KeyError:
    pass
say("rolled-back", get("text"))
say("rolled-back-rows", one("SELECT count(*) FROM kv WHERE key = 'lost'"),
    one("SELECT count(*) FROM plain"), one(count))
with db.transaction():
    db.rows(PUT, ("committed", 1))
    db.rows("INSERT INTO plain VALUES(1)")
say("committed", get("committed"), one("SELECT x FROM plain"))
try:
    with db.transaction():
        db.rows(PUT, ("text", 1))
except db.Duplicate as error:
    say("duplicate", re.search("UNIQUE .*: [a-z.]+", str(error)).group(0))
say("keys", *[key for key, in db.rows("SELECT key FROM kv ORDER BY key")])
db.reopen()
say("reopen", get("text"))
say("reopen-binary", "same" if get("binary") == binary else "different")
say("second-process", subprocess.call("./second"))
say("second-wrote", get("second"))
say("check", one("SELECT nadb_check('kv')"))
