#!/usr/bin/env python3
"""wait.py - how soon nadb_wait wakes, and what it costs writers.

usage: wait.py LIBRARY [COUNT]

A process waits, and another one puts a row with the time (CLOCK_MONOTONIC) and
commits; what is printed is from before the put to behind nadb_wait, so with the
COMMIT itself. Then autocommit puts a second, in pairs of runs beside each other:
with and without keep_changes, while nobody waits; and with a process that waits.
"""
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

LIBRARY = sys.argv[1]


def connect(options, folder):
    db = sqlite3.connect(':memory:', isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(LIBRARY)
    db.execute(f"CREATE VIRTUAL TABLE kv USING nadb(path='{folder}', "
               f"namespace='kv' {options})")
    return db


def wait(folder, options):
    db = connect(options, folder)
    seq, = db.execute("SELECT nadb_seq('kv')").fetchone()
    print('ready', flush=True)
    while seq is not None:
        seq, = db.execute("SELECT nadb_wait('kv', ?, 10)", (seq,)).fetchone()
        now = time.monotonic_ns()
        row = db.execute("SELECT value FROM kv WHERE key = 'time'").fetchone()
        if row is not None and row[0] == 'end':
            return
        if row is not None:
            print((now - row[0]) / 1000, flush=True)


def waiter(folder, options, out=subprocess.PIPE):
    p = subprocess.Popen([sys.executable, __file__, LIBRARY, 'wait', folder,
                          options], stdout=out, text=True)
    if out == subprocess.PIPE:
        p.stdout.readline()
    return p


def put(db, value):
    db.execute("INSERT OR REPLACE INTO kv(key, value) VALUES('time', ?)",
               (value,))


def rate(db, n):
    begun = time.perf_counter()
    for i in range(n):
        db.execute('INSERT OR REPLACE INTO kv(key, value) VALUES(?, 1)',
                   (i % 1000,))
    return n / (time.perf_counter() - begun)


def main(count):
    with tempfile.TemporaryDirectory() as folder:
        db = connect('', folder)
        put(db, 0)
        p = waiter(folder, '')
        us = []
        for _ in range(count):
            time.sleep(0.005)
            put(db, time.monotonic_ns())
            us.append(float(p.stdout.readline()))
        put(db, 'end')
        p.wait()
        us.sort()
        print(f'from put to waiter, us: median {us[len(us) // 2]:.0f}, '
              f'p90 {us[len(us) * 9 // 10]:.0f}, '
              f'p99 {us[len(us) * 99 // 100]:.0f}, max {us[-1]:.0f}')
    pairs = {'keep_changes=3600': [], 'a process waits': []}
    for _ in range(7):
        for name in pairs:
            with tempfile.TemporaryDirectory() as a, \
                    tempfile.TemporaryDirectory() as b:
                plain = connect('', a)
                other = connect(', keep_changes=3600' if '=' in name else '', b)
                p = None
                if '=' not in name:
                    p = waiter(b, '', subprocess.DEVNULL)
                    time.sleep(0.2)
                first = rate(plain, 20000)
                second = rate(other, 20000)
                pairs[name].append(second / (first + rate(plain, 20000)) * 2)
                if p is not None:
                    put(other, 'end')
                    p.wait()
    for name, ratios in pairs.items():
        print(f'autocommit puts, {name}: {statistics.median(ratios):.2f} '
              f'of those without')


if len(sys.argv) > 3 and sys.argv[2] == 'wait':
    wait(sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else '')
else:
    main(int(sys.argv[2]) if len(sys.argv) > 2 else 500)
