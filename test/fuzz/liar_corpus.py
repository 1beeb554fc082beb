#!/usr/bin/env python3
"""liar_corpus.py LIBRARY DIR - writes the seeds of replies_fuzz to DIR: what a
real Redis server has answered to its statements, as tokens of liar.h.

LIBRARY is nadb.so. Statements are named by their places in replies_fuzz.c."""
import os
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
IMPOLITE, SHARDS, WAIT = 1, 2, 32
TOKENS = ("array bulk byte integer nil word error status text moved port raw"
          " close").split()


def token(name, *rest):
    return bytes([TOKENS.index(name)]) + bytes(rest)


def statements():
    with open(os.path.join(HERE, "replies_fuzz.c")) as f:
        text = f.read()
    text = text[text.index("begin of statements"):]
    text = text[text.index("*/") + 2:text.index("/* end of statements")]
    found = []
    for item in re.findall(r'((?:"(?:[^"\\]|\\.)*"\s*)+),', text):
        parts = re.findall(r'"((?:[^"\\]|\\.)*)"', item)
        found.append("".join(parts).replace('\\"', '"'))
    return found


def words():
    with open(os.path.join(HERE, "liar.h")) as f:
        text = f.read()
    text = text[text.index("liar_words[] = {"):]
    text = text[:text.index("};")]
    return [w.replace('\\"', '"').replace("\\n", "\n") for w in
            re.findall(r'"((?:[^"\\]|\\.)*)"', text)]


class Reply:
    """Reads one answer off a stream, and makes tokens of it."""

    def __init__(self, stream, dictionary):
        self.stream = stream
        self.words = dictionary
        self.raw = b""

    def line(self):
        line = self.stream.readline()
        self.raw += line
        return line[:1], line[1:-2]

    def string(self, text):
        if text.decode("latin1") in self.words:
            return token("word", self.words.index(text.decode("latin1")))
        if re.fullmatch(rb"[0-9]{1,2}", text):
            return token("text", int(text))
        return token("bulk", min(len(text), 255)) + text[:255]

    def read(self):
        kind, rest = self.line()
        if kind == b"*":
            n = int(rest)
            if n < 0:
                return token("nil")
            parts = [self.read() for _ in range(n)]
            return token("array", min(n, 255)) + b"".join(parts[:255])
        if kind == b"$":
            n = int(rest)
            if n < 0:
                return token("nil")
            text = self.stream.read(n + 2)
            self.raw += text
            return self.string(text[:-2])
        if kind == b":":
            n = int(rest)
            if 0 <= n < 256:
                return token("byte", n)
            return token("integer", *n.to_bytes(8, "big", signed=True))
        return token("error" if kind == b"-" else "status",
                     min(len(rest), 255)) + rest[:255]


class Recorder:
    """Passes requests on to the server, and keeps what it answers."""

    def __init__(self, path, server):
        self.path = path
        self.server = server
        self.polite = True
        self.kept = []
        self.lock = threading.Lock()
        self.words = words()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(100)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            s, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def answered_well(self, name, request):
        return self.polite and (
            name in (b"TIME", b"INFO", b"SCRIPT", b"CLIENT", b"SELECT", b"ROLE")
            or b"\r\nlayout\r\n" in request)

    def serve(self, client):
        server = socket.socket(socket.AF_UNIX)
        server.connect(self.server)
        questions, answers = client.makefile("rb"), server.makefile("rb")
        while True:
            head = questions.readline()
            if not head:
                return
            request, name = head, b""
            for i in range(int(head[1:])):
                size = questions.readline()
                text = questions.read(int(size[1:]) + 2)
                name = name or text[:-2]
                request += size + text
            with self.lock:
                server.sendall(request)
                reply = Reply(answers, self.words)
                tokens = reply.read()
                if not self.answered_well(name, request):
                    self.kept.append(tokens)
                client.sendall(reply.raw)


# Names of statements by what is in them.
SCENES = {
    "get": ["ttl, size", "nadb_ttl"],
    "scan": ["key, value, tags FROM", "DESC", "JOIN", "min(key)", "count(*)"],
    "list": ["IN ('a'", "ttl, size"],
    "tags": ["MATCH", "tag = 'a'", "nadb_tags", "expires_at <",
             "expires_at >"],
    "put": ["VALUES('a', 1)@kv", "VALUES('d'", "OR IGNORE", "zeroblob"],
    "rows": ["2.5, NULL", "key, value, tags FROM"],
    "change": ["|| 'x' WHERE", "SET value = 5", "SET key =",
               "DELETE FROM kv WHERE", "DELETE FROM kv"],
    "txn": ["BEGIN", "key, value, tags FROM", "VALUES('a', 1)@kv",
            "VALUES('a', 1)@other", "SAVEPOINT", "SET value = 5",
            "ROLLBACK TO", "COMMIT"],
    "undo": ["BEGIN", "SET value = 5", "2.5, NULL", "COMMIT", "ROLLBACK"],
    "functions": ["nadb_incr", "nadb_pop", "nadb_set_ttl", "nadb_tag(",
                  "nadb_seq", "nadb_stats"],
    "keep": ["nadb_check", "nadb_compact", "nadb_purge", "nadb_flush"],
    "clear": ["BEGIN", "nadb_clear", "COMMIT", "key, value, tags FROM"],
    "copy": ["SELECT key || 'x'"],
    "destroy": ["nadb_destroy"],
}


def places(scene, all_statements):
    found = []
    for text in scene:
        text, _, table = text.partition("@")
        found.append(next(i for i, s in enumerate(all_statements) if text in s
                          and (not table or "INTO " + table in s)))
    return found


def record(library, recorder, mode, scene, all_statements):
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(library)
    recorder.kept = []
    recorder.polite = not mode & IMPOLITE
    for table in "kv", "other":
        db.execute("CREATE VIRTUAL TABLE %s USING nadb(backend=redis,"
                   " socket='%s'%s%s)" % (
                       table, recorder.path,
                       ", shards=2" if mode & SHARDS else "",
                       ", wait=1, timeout=0.1" if mode & WAIT else ""))
    for place in scene:
        try:
            db.execute(all_statements[place]).fetchall()
        except sqlite3.Error:
            pass
    db.close()
    return b"".join(recorder.kept)


def main():
    library, folder = os.path.abspath(sys.argv[1]), os.path.abspath(sys.argv[2])
    os.makedirs(folder, exist_ok=True)
    all_statements = statements()
    with tempfile.TemporaryDirectory() as place:
        server = os.path.join(place, "server")
        redis = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", server, "--save",
             ""], cwd=place, stdout=subprocess.DEVNULL)
        while not os.path.exists(server):
            time.sleep(0.01)
        recorder = Recorder(os.path.join(place, "s"), server)
        for mode in (0, IMPOLITE, SHARDS, WAIT):
            for name, scene in SCENES.items():
                subprocess.run(["redis-cli", "-s", server, "FLUSHALL"],
                               stdout=subprocess.DEVNULL, check=True)
                # so that there is something
                fill = places(["2.5, NULL"], all_statements)
                record(library, recorder, mode & SHARDS, fill, all_statements)
                scene = places(scene, all_statements)
                answers = record(library, recorder, mode, scene,
                                 all_statements)
                with open(os.path.join(folder, "%02d-%s" % (mode, name)),
                          "wb") as f:
                    f.write(bytes([mode, len(scene)] + scene) +
                            answers[:4000])
        redis.terminate()
        redis.wait()


main()
