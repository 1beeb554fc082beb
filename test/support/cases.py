"""cases.py - what the suites' programs in Python share (run_program, harness.tcl).

Their first argument is the library. They print "ok NAME" or "not ok NAME: what
happened".
"""
import sqlite3
import sys

lib = sys.argv[1]


def say(name, good, detail=""):
    print(f"ok {name}" if good else f"not ok {name}: {detail}", flush=True)


def connect(file=":memory:", **options):
    """A connection that has the library, without Python's own transactions."""
    db = sqlite3.connect(file, isolation_level=None, **options)
    db.enable_load_extension(True)
    db.execute("SELECT load_extension(?)", (lib,))
    return db
