#!/usr/bin/env python3
"""moving.py DIR - what other programs keep, in their layouts (moving.test):
DIR/data (file store of the Python NADB), DIR/backups (its backups), DIR/cache
(DiskCache)."""
import base64
import datetime
import gzip
import hashlib
import json
import os
import sqlite3
import sys
import time
import zlib

ROOT = sys.argv[1]
NOW = datetime.datetime.now()


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def stored(data, compress=True):
    if not compress or len(data) <= 1024:
        return data
    return b"CMP:" + zlib.compress(data, 6)


def ago(seconds):
    return (NOW - datetime.timedelta(seconds=seconds)).isoformat()


# key, value, tags, ttl, seconds since it was updated
ROWS = [
    ("plain", b"hello", ["x", "y"], None, 50),
    ("compressed", b"abc" * 2000, ["x"], None, 60),
    ("prefixed", b"CMP:not compressed", [], None, 70),
    ("bytes", bytes(range(256)), [], None, 80),
    ("\u00fcml\u00e4ut:1", b"\xff\x00", [], None, 90),
    ("empty", b"", ["z"], None, 10),
    ("expires", b"soon", ["z"], 1000, 100),
    ("expired", b"gone", [], 5, 100),
]


def fs():
    folder = os.path.join(ROOT, "data")
    os.makedirs(folder)
    db = sqlite3.connect(os.path.join(folder, "app_meta.db"))
    db.executescript("""
        CREATE TABLE metadata(id INTEGER PRIMARY KEY AUTOINCREMENT,
            path TEXT NOT NULL, key TEXT NOT NULL, db TEXT NOT NULL,
            namespace TEXT NOT NULL, created_at DATETIME, last_updated DATETIME,
            last_accessed DATETIME, size INTEGER, ttl INTEGER,
            UNIQUE(path, key, db, namespace));
        CREATE TABLE tags(id INTEGER PRIMARY KEY AUTOINCREMENT,
            tag_name TEXT NOT NULL UNIQUE);
        CREATE TABLE metadata_tags(metadata_id INTEGER, tag_id INTEGER,
            PRIMARY KEY(metadata_id, tag_id));""")

    def add(key, path, tags, ttl, age, namespace="prod"):
        cur = db.execute(
            "INSERT INTO metadata(path, key, db, namespace, created_at,"
            " last_updated, size, ttl) VALUES(?,?,?,?,?,?,0,?)",
            (path, key, "app", namespace, ago(age + 1000), ago(age), ttl))
        for tag in tags:
            db.execute("INSERT OR IGNORE INTO tags(tag_name) VALUES(?)",
                       (tag,))
            db.execute("INSERT INTO metadata_tags SELECT ?, id FROM tags"
                       " WHERE tag_name = ?", (cur.lastrowid, tag))

    for key, value, tags, ttl, age in ROWS:
        h = hashlib.blake2b(f"app:prod:{key}".encode(), digest_size=16)
        h = h.hexdigest()
        path = os.path.join("app", h[0:2], h[2:4], h)
        write(os.path.join(folder, path), stored(value))
        add(key, path, tags, ttl, age)
    add("missing", "app/00/00/none", [], None, 5)
    write(os.path.join(folder, "app/00/01/damaged"),
          stored(b"q" * 5000)[:-7])
    add("damaged", "app/00/01/damaged", [], None, 5)
    write(os.path.join(ROOT, "outside"), b"secret")
    add("outside", "../outside", [], None, 5)
    add("absolute", os.path.join(ROOT, "outside"), [], None, 5)
    add("other namespace", "app/00/01/damaged", [], None, 5, "test")
    db.commit()
    db.close()


def backups():
    folder = os.path.join(ROOT, "backups")
    listed = {}

    def add(name, rows, parent, compress):
        items = [{
            "key": key, "value": base64.b64encode(value).decode(),
            "tags": tags, "checksum": hashlib.sha256(value).hexdigest(),
            "metadata": {"created_at": ago(age + 1000),
                         "last_updated": ago(age), "ttl": ttl, "tags": tags},
        } for key, value, tags, ttl, age in rows]
        data = json.dumps(items).encode()
        if compress:
            data = gzip.compress(data)
        write(os.path.join(folder, name,
                           "data.json" + (".gz" if compress else "")), data)
        listed[name] = {
            "backup_id": name, "timestamp": ago(0),
            "backup_type": "incremental" if parent else "full",
            "source_db": "app", "source_namespace": "prod",
            "file_count": len(rows), "total_size": 0,
            "checksum": hashlib.sha256(data).hexdigest(),
            "parent_backup_id": parent, "compression": compress}

    add("full_1", ROWS, None, True)
    add("inc_1", [("plain", b"second", [], None, 5)], "full_1", False)
    add("inc_2", [("new", b"n" * 3000, ["n"], None, 4)], "inc_1", True)
    add("orphan", [("new", b"x", [], None, 4)], "none", True)
    write(os.path.join(folder, "metadata.json"), json.dumps(listed).encode())


def diskcache():
    folder = os.path.join(ROOT, "cache")
    os.makedirs(folder)
    db = sqlite3.connect(os.path.join(folder, "cache.db"))
    db.execute("""
        CREATE TABLE Cache(rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER,
            store_time REAL, expire_time REAL, access_time REAL,
            access_count INTEGER, tag BLOB, size INTEGER, mode INTEGER,
            filename TEXT, value BLOB)""")
    now = time.time()
    rows = [("text", 1, None, None, 1, None, "value"),
            ("int", 1, now + 100, "tagged", 1, None, 5),
            (7, 1, None, None, 1, None, 2.5),
            ("bytes", 1, None, None, 1, None, b"\x00\x01"),
            ("large text", 1, None, None, 3, "ab/cd/t.val", None),
            ("large bytes", 1, None, None, 2, "ab/cd/b.val", None),
            (b"\x80\x04", 0, None, None, 1, None, "pickled key"),
            ("expired", 1, now - 1, None, 1, None, 1),
            ("missing", 1, None, None, 2, "ab/none.val", None),
            ("outside", 1, None, None, 2, "../outside", None)]
    for key, raw, expire, tag, mode, filename, value in rows:
        db.execute("INSERT INTO Cache(key, raw, store_time, expire_time, tag,"
                   " size, mode, filename, value) VALUES(?,?,?,?,?,0,?,?,?)",
                   (key, raw, 1700000000.25, expire, tag, mode, filename,
                    value))
    db.commit()
    db.close()
    write(os.path.join(folder, "ab/cd/t.val"), "\u00fc".encode() * 5000)
    write(os.path.join(folder, "ab/cd/b.val"), b"\x00q" * 5000)


fs()
backups()
diskcache()
