#!/usr/bin/python3
"""suite.py [test_dbm_sqlite3.py] - CPython's tests of dbm, shelve and mappings
over an nadb table. Ends with "N passed, N failed".

A newer Python's test_dbm_sqlite3.py may be given, where this one has none."""
import dbm
import importlib.util
import os
import sys
import types
import unittest

import nadb_dbm

# nadb_dbm stands for every module of dbm, and dbm's whichdb() knows its files.
nadb_dbm.__name__ = "dbm.nadb"
nadb_dbm._normalize_uri = None
for name in "nadb", "dumb", "sqlite3":
    sys.modules[f"dbm.{name}"] = nadb_dbm
    setattr(dbm, name, nadb_dbm)
dbm._names[:] = ["dbm.nadb"]
known = dbm.whichdb


def whichdb(file):
    try:
        with open(file, "rb") as f:
            if f.read(16) == b"SQLite format 3\0":
                return "dbm.nadb"
    except OSError:
        pass
    return known(file)


dbm.whichdb = whichdb

from test import test_dbm, test_dbm_dumb, test_shelve  # noqa: E402

# dbm.dumb makes a file where there is none. What its tests remove are its own
# files; the table's is this one. The store beside it stays: it belongs to the
# file that is gone, and the next file must not show its rows.
def remove():
    if os.path.exists(test_dbm_dumb._fname):
        os.unlink(test_dbm_dumb._fname)


test_dbm_dumb._delete_files = remove
test_dbm_dumb.dumbdbm = types.SimpleNamespace(
    error=nadb_dbm.error,
    open=lambda file, flag="c", mode=0o666: nadb_dbm.open(file, flag, mode))

OF_DUMB = "looks into the files of dbm.dumb"
EXCLUDED = {
    "WhichDBTestCase.test_whichdb":
        "has a fresh import of dbm, which knows the modules of CPython alone",
    "DumbDBMTestCase.test_dumbdbm_read": "asks for dbm.dumb's words",
    "DumbDBMTestCase.test_dumbdbm_creation_mode": OF_DUMB,
    "DumbDBMTestCase.test_line_endings": OF_DUMB,
    "DumbDBMTestCase.test_eval": OF_DUMB,
    "DumbDBMTestCase.test_missing_data": OF_DUMB,
    "DumbDBMTestCase.test_missing_index": OF_DUMB,
    "DumbDBMTestCase.test_readonly_files": OF_DUMB,
    "DumbDBMTestCase.test_nonascii_filename": OF_DUMB,
    "DumbDBMTestCase.test_sync_empty_unmodified": OF_DUMB,  # 3.12 and newer
    "DumbDBMTestCase.test_sync_nonempty_unmodified": OF_DUMB,
    "URI.test_uri_substitutions": "tests a private function of dbm.sqlite3",
    "URI.test_uri_windows": "tests a private function of dbm.sqlite3",
}


def sqlite3_tests(path):
    spec = importlib.util.spec_from_file_location("test_dbm_sqlite3", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # It looks at the table with a connection of its own.
    module.sqlite3 = types.SimpleNamespace(connect=nadb_dbm.connect)
    return module


def cases(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from cases(test)
        elif ".".join(test.id().split(".")[-2:]) not in EXCLUDED:
            yield test


modules = [test_dbm, test_dbm_dumb, test_shelve]
modules += [sqlite3_tests(path) for path in sys.argv[1:]]
chosen = unittest.TestSuite()
for module in modules:
    chosen.addTests(cases(unittest.defaultTestLoader.loadTestsFromModule(
        module)))
for name, why in EXCLUDED.items():
    print(f"excluded: {name}: {why}")
result = unittest.TextTestRunner(stream=sys.stdout, verbosity=0).run(chosen)
failed = len(result.failures) + len(result.errors)
print(f"{result.testsRun - failed - len(result.skipped)} passed, "
      f"{failed} failed")
sys.exit(failed > 0)
