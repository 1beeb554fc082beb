"""python_test.py - nadb from Python's sqlite3 (bindings.test).

usage: python_test.py library folder
"""
import json
import os
import sqlite3
import subprocess
import sys
import time

lib, folder = sys.argv[1:3]
path = os.path.join(folder, "python.db")


def check(name, got, expected):
    if got == expected:
        print(f"ok {name}", flush=True)
    else:
        print(f"not ok {name}: got {got!r:.200}, expected {expected!r:.200}",
              flush=True)


def connect():
    db = sqlite3.connect(path)
    db.enable_load_extension(True)
    db.load_extension(lib)
    db.enable_load_extension(False)
    return db


if len(sys.argv) > 3:  # the second process
    second = connect()
    with second:
        second.execute("INSERT INTO kv(key, value) VALUES('second', 2)")
    print(second.execute("SELECT value FROM kv WHERE key = 'text'")
          .fetchone()[0])
    sys.exit(0)

db = connect()
db.execute("CREATE VIRTUAL TABLE kv USING nadb")
binary = os.urandom(1 << 19) + bytes(1 << 19)
text = "Grüße, 世界 \0 and more"
with db:
    db.execute("INSERT INTO kv(key, value) VALUES(?, ?)", ("text", text))
    db.execute("INSERT INTO kv(key, value) VALUES(?, ?)", ("binary", binary))
    db.execute("INSERT INTO kv(key, value, tags, ttl) VALUES(?, ?, ?, ?)",
               ("tagged", 1.5, '["b", "a"]', 3600))


def get(connection, key, column="value"):
    row = connection.execute(f"SELECT {column} FROM kv WHERE key = ?",
                             (key,)).fetchone()
    return row[0] if row else None


check("text", get(db, "text"), text)
check("binary", get(db, "binary"), binary)
check("real", get(db, "tagged"), 1.5)
check("tags", get(db, "tagged", "tags"), '["a","b"]')
check("ttl", 3500 < get(db, "tagged", "ttl") <= 3600, True)
check("missing", get(db, "nosuch"), None)

try:
    with db:
        db.execute("REPLACE INTO kv(key, value) VALUES('text', 'lost')")
        db.execute("INSERT INTO kv(key) VALUES('lost')")
        check("inside", get(db, "text"), "lost")
        raise KeyError("roll back")
except KeyError:
    pass
check("rolled-back", (get(db, "text"), get(db, "lost")), (text, None))

try:
    db.execute("INSERT INTO kv(key) VALUES('text')")
    check("duplicate", "no error", "IntegrityError")
except sqlite3.IntegrityError as error:
    check("duplicate", str(error), "UNIQUE constraint failed: kv.key")
db.rollback()

got = db.execute("SELECT key FROM kv ORDER BY key").fetchall()
check("keys", got, [("binary",), ("tagged",), ("text",)])

db.close()
db = connect()
check("reopen", (get(db, "text"), get(db, "binary") == binary), (text, True))

out = subprocess.run([sys.executable, __file__, lib, folder, "second"],
                     capture_output=True, text=True)
check("second-process", out.stdout, text + "\n")
check("second-process-end", (out.returncode, out.stderr), (0, ""))
check("second-process-wrote", get(db, "second"), 2)

# Tags and expiry, with bound parameters.
db.execute("CREATE VIRTUAL TABLE jobs USING nadb")
with db:
    db.executemany(
        "INSERT INTO jobs(key, value, tags, ttl) VALUES(?, ?, ?, ?)",
        [(f"job:{i:03}", i,
          json.dumps(["all", f"m{i % 3}"] + ["ten"] * (i % 10 == 0)),
          3600 if i % 2 else None) for i in range(100)])
    db.execute("INSERT INTO jobs(key, tags, ttl) VALUES('brief', ?, 0.02)",
               ('["brief", "all"]',))
    page = db.execute("SELECT key FROM jobs WHERE tags MATCH ? AND key > ?"
                      " ORDER BY key LIMIT ?", ("ten NOT m0", "job:010", 3))
    check("match-inside", page.fetchall(),
          [("job:020",), ("job:040",), ("job:050",)])


def one(sql, *args):
    return db.execute(sql, args).fetchone()[0]


while one("SELECT count(*) FROM jobs WHERE tag = ?", "brief"):
    time.sleep(0.005)
check("expired", db.execute("SELECT * FROM nadb_tags('jobs') WHERE tag = ?"
                            " OR tag = ?", ("all", "brief")).fetchall(),
      [("all", 100)])
check("both-tags", one("SELECT count(*) FROM jobs WHERE tag = ? AND tag = ?",
                       "ten", "m0"), 4)
check("expiring", one("SELECT count(*) FROM jobs WHERE expires_at < ?",
                      time.time() + 4000), 50)
check("functions", db.execute(
    "SELECT nadb_tag('jobs', ?, ?, ?), nadb_untag('jobs', ?, ?),"
    " nadb_tags('jobs', ?), nadb_set_ttl('jobs', ?, NULL),"
    " nadb_ttl('jobs', ?), nadb_pop('jobs', ?)",
    ("job:001", "x", "ü", "job:001", "all", "job:001", "job:001", "job:001",
     "job:002")).fetchone(), (2, 1, '["m1","x","ü"]', 1, None, 2))
db.commit()
try:
    with db:
        db.execute("UPDATE jobs SET tags = NULL WHERE tags MATCH ?",
                   ("m0 OR m1",))
        db.execute("DELETE FROM jobs WHERE tag = ?", ("m2",))
        check("all-changed", one("SELECT count(*) FROM nadb_tags('jobs')"), 0)
        raise KeyError("roll back")
except KeyError:
    pass
check("tags-rolled-back",
      dict(db.execute("SELECT tag, count FROM nadb_tags('jobs')")),
      {"all": 98, "m0": 34, "m1": 33, "m2": 32, "ten": 10, "x": 1, "ü": 1})
check("check", one("SELECT nadb_check('jobs')"), "ok")
db.close()
