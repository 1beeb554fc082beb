#!/usr/bin/env python3
"""stress.py - threads put, read, query by tag and delete files of random bytes.

usage: stress.py LIBRARY [--num-files N] [--num-reads N] [--num-queries N]
           [--min-size BYTES] [--max-size BYTES] [--tags-per-file N] [--threads N]
           [--backends fs,redis,memory] [--redis-host HOST] [--redis-port PORT]
           [--redis-db N] [--redis-password TEXT]

The switches are those of the Python NADB's stress tool. Each thread has a
connection of its own, and each operation is a transaction. What is read is
compared with what was written: the exit code is 1 if anything differs, fails, or
a backend cannot be run. A store is made for the run and removed behind it.
"""
import argparse
import concurrent.futures
import contextlib
import hashlib
import os
import random
import sqlite3
import sys
import tempfile
import time

PASSWORD = 'NADB_STRESS_PASSWORD'
TAGS = [f'{kind}:{value}' for kind in ('colour', 'shape', 'status', 'region')
        for value in ('a', 'b', 'c', 'd', 'e', 'f')]


def arguments():
    p = argparse.ArgumentParser(description='stress test of nadb')
    p.add_argument('library')
    for name, default in (('num-files', 1000), ('num-reads', 1000),
                          ('num-queries', 100), ('min-size', 100),
                          ('max-size', 10000), ('tags-per-file', 3),
                          ('threads', os.cpu_count()), ('redis-port', 6379),
                          ('redis-db', 0)):
        p.add_argument('--' + name, type=int, default=default)
    p.add_argument('--backends', default='fs,redis')
    p.add_argument('--redis-host', default='localhost')
    p.add_argument('--redis-password')
    given = p.parse_args()
    if not 0 <= given.min_size <= given.max_size or given.threads < 1:
        p.error('sizes or threads out of range')
    return given


class File:
    """What is written under a key: bytes and tags that follow from it."""

    def __init__(self, number, given):
        chance = random.Random(number)
        self.key = f'file/{number}'
        self.value = chance.randbytes(
            chance.randint(given.min_size, given.max_size))
        self.sum = hashlib.sha256(self.value).digest()
        self.tags = set(chance.sample(
            TAGS, chance.randint(0, min(given.tags_per_file, len(TAGS)))))

    def row(self):
        tags = ','.join(f'"{tag}"' for tag in sorted(self.tags))
        return self.key, self.value, f'[{tags}]' if tags else None


class Run:
    def __init__(self, backend, folder, given):
        self.given = given
        self.backend = backend
        self.options = f"backend='{backend}', namespace='stress-{os.getpid()}'"
        if backend == 'fs':
            self.options += f", path='{folder}'"
        if backend == 'redis':
            self.options += (f", host='{given.redis_host}'"
                             f', port={given.redis_port}'
                             f', redis_db={given.redis_db}')
        if given.redis_password is not None:
            os.environ[PASSWORD] = given.redis_password
            if backend == 'redis':
                self.options += f", password_env='{PASSWORD}'"
        self.files = [File(n, given) for n in range(given.num_files)]

    def connect(self):
        db = sqlite3.connect(':memory:', isolation_level=None,
                             check_same_thread=False)
        db.enable_load_extension(True)
        db.load_extension(os.path.abspath(self.given.library))
        db.execute(f'CREATE VIRTUAL TABLE kv USING nadb({self.options})')
        return db

    def in_threads(self, name, work, items):
        """Calls work(db, item) for all items, and prints how fast."""
        shares = [items[n::self.given.threads]
                  for n in range(self.given.threads)]
        connections = [self.connect() for _ in shares]

        def one(share, db):
            return [work(db, item) for item in share]

        start = time.perf_counter()
        try:
            with concurrent.futures.ThreadPoolExecutor(len(shares)) as pool:
                list(pool.map(one, shares, connections))
        finally:
            seconds = time.perf_counter() - start
            for db in connections:
                db.close()
        print(f'| {self.backend} | {name} | {len(items)} | {seconds:.3f} |'
              f' {len(items) / max(seconds, 1e-9):.0f} |', flush=True)

    @staticmethod
    def put(db, file):
        db.execute('INSERT INTO kv(key, value, tags) VALUES(?, ?, ?)',
                   file.row())

    @staticmethod
    def read(db, file):
        value, = db.execute('SELECT value FROM kv WHERE key = ?',
                            (file.key,)).fetchone()
        if hashlib.sha256(value).digest() != file.sum:
            raise ValueError(f'{file.key} has another value')

    def query(self, db, tags):
        got = {key for key, in db.execute(
            'SELECT key FROM kv WHERE tag = ? AND tag = ?', tags)}
        want = {file.key for file in self.files if file.tags.issuperset(tags)}
        if got != want:
            raise ValueError(f'tags {tags}: {len(got)} keys, not {len(want)}')

    @staticmethod
    def delete(db, file):
        done = db.execute('DELETE FROM kv WHERE key = ?', (file.key,)).rowcount
        if done != 1:
            raise ValueError(f'{file.key} is not there')

    def operations(self, holder):
        given = self.given
        self.in_threads('put', self.put, self.files)
        self.in_threads('read', self.read,
                        random.choices(self.files, k=given.num_reads)
                        if self.files else [])
        self.in_threads('query', self.query,
                        [tuple(random.choices(TAGS, k=2))
                         for _ in range(given.num_queries)])
        problems, = holder.execute("SELECT nadb_check('kv')").fetchone()
        if problems != 'ok':
            raise ValueError(problems)
        self.in_threads('delete', self.delete, self.files)
        left, = holder.execute('SELECT count(*) FROM kv').fetchone()
        if left != 0:
            raise ValueError(f'{left} rows are left')

    def run(self):
        holder = self.connect()  # a store in memory ends with its last table
        try:
            self.operations(holder)
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                holder.execute("SELECT nadb_destroy('kv')").fetchone()
            raise
        holder.execute("SELECT nadb_destroy('kv')").fetchone()
        holder.close()


def main():
    given = arguments()
    failed = False
    print('| backend | operation | count | seconds | a second |')
    print('|---|---|---:|---:|---:|', flush=True)
    for backend in given.backends.split(','):
        with tempfile.TemporaryDirectory(prefix='nadb-stress-') as folder:
            try:
                Run(backend, folder, given).run()
            except (sqlite3.Error, ValueError, TypeError) as error:
                print(f'{backend}: {error}', file=sys.stderr)
                failed = True
    return failed


if __name__ == '__main__':
    sys.exit(main())
