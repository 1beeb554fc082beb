"""python_test.py - nadb from Python's sqlite3 (bindings.test).

usage: python_test.py library folder
"""
import os
import sqlite3
import subprocess
import sys

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
db.close()
