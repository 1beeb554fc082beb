"""run.py LIBRARY FOLDER [REDIS_PORT] - the tests of the Python package.

Makes a package with the library in it in FOLDER, as a wheel has it, and prints
a line `ok NAME` or `not ok NAME: why` for each test (test/suites/
python_api.test).
"""
import logging
import os
import shutil
import sys
import traceback
import unittest

here = os.path.dirname(os.path.abspath(__file__))
library, folder = map(os.path.abspath, sys.argv[1:3])
sys.dont_write_bytecode = True
logging.getLogger("nadb").addHandler(logging.NullHandler())
package = os.path.join(folder, "package")
shutil.copytree(os.path.dirname(here), package,
                ignore=shutil.ignore_patterns("tests", "__pycache__"))
os.symlink(library, os.path.join(package, "nadb", "nadb.so"))
sys.path[:0] = [package, here]
if len(sys.argv) > 3:
    os.environ["NADB_TEST_REDIS_PORT"] = sys.argv[3]


class Lines(unittest.TestResult):
    """Prints a line for each test."""

    def _name(self, test: unittest.TestCase) -> str:
        return test.id().replace("test_", "")

    def addSuccess(self, test: unittest.TestCase) -> None:
        print("ok", self._name(test), flush=True)

    def _bad(self, test: unittest.TestCase, error: tuple) -> None:
        text = "".join(traceback.format_exception(*error))
        print(f"not ok {self._name(test)}: " + text.replace("\n", " | "),
              flush=True)

    def addFailure(self, test: unittest.TestCase, error: tuple) -> None:
        super().addFailure(test, error)
        self._bad(test, error)

    def addError(self, test: unittest.TestCase, error: tuple) -> None:
        super().addError(test, error)
        self._bad(test, error)

    def addSubTest(self, test, subtest, error) -> None:
        super().addSubTest(test, subtest, error)
        if error is not None:
            self._bad(subtest, error)


result = Lines()
unittest.defaultTestLoader.discover(here).run(result)
sys.exit(0 if result.wasSuccessful() else 1)
