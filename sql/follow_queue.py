#!/usr/bin/env python3
"""follow_queue.py - workers that share a queue of jobs and do not poll.

usage: follow_queue.py DATABASE [SECONDS]

Jobs are rows of table `queue` with keys 'job:..'. Each worker takes the first
one (nadb_pop gives a job to one worker alone), does it, and sleeps in nadb_wait
while there is none, for at most SECONDS (default: for ever). Start as many as
you like; put jobs with

    INSERT INTO queue(key, value) VALUES('job:1', 'what to do');
"""
import sqlite3
import sys

db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
db.enable_load_extension(True)
db.load_extension('./nadb')
db.execute('CREATE VIRTUAL TABLE IF NOT EXISTS queue USING nadb'
           '(keep_changes=3600)')
timeout = float(sys.argv[2]) if len(sys.argv) > 2 else None


def one(sql, *args):
    row = db.execute(sql, args).fetchone()
    return None if row is None else row[0]


def work():
    """Does every job that is there."""
    while True:
        key = one("SELECT key FROM queue WHERE key GLOB 'job:*' LIMIT 1")
        if key is None:
            return
        job = one("SELECT nadb_pop('queue', ?)", key)
        if job is not None:  # else another worker was faster
            print(key, job, flush=True)


seq = one("SELECT nadb_seq('queue')")
while seq is not None:
    work()  # what came after `seq` wakes the worker, though it was done by then
    seq = one("SELECT nadb_wait('queue', ?, ?, 'job:')", seq, timeout)
