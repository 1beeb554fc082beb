"""What the tests of the package stand on."""
from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import unittest
from typing import Any, Callable, List

from nadb import KeyValueStore, KeyValueSync


def wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """What `condition` gives as soon as it is true."""
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result or time.monotonic() > end:
            return result
        time.sleep(0.01)


def python(program: str, *arguments: str) -> str:
    """What a program prints that runs in a process of its own, in this
    folder and with this package."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise AssertionError(f"exit {done.returncode}: {done.stdout}")
    return done.stdout.strip()


class StoreTest(unittest.TestCase):
    """A folder for each test, which is the working directory."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        before = os.getcwd()
        os.chdir(folder.name)
        self.addCleanup(os.chdir, before)
        self.folder = folder.name
        self.sync = KeyValueSync(3600)
        self.addCleanup(self.sync.sync_exit)

    def open(self, namespace: str = "ns", db: str = "app",
             **options: Any) -> KeyValueStore:
        """A store, closed at the end of the test."""
        options.setdefault("buffer_size_mb", 1)
        options.setdefault("sync", self.sync)
        store = KeyValueStore("data", db, namespace=namespace, **options)
        self.addCleanup(store.close)
        return store

    def refused(self, kind: type, text: str, work: Callable[..., Any],
                *arguments: Any, **options: Any) -> None:
        """`work` raises an exception of this kind whose message has the
        text in it."""
        with self.assertRaises(kind) as caught:
            work(*arguments, **options)
        self.assertIn(text, str(caught.exception))


def keys(found: Any) -> List[str]:
    """The keys of a dictionary of metadata, or of a list of them."""
    return sorted(found) if isinstance(found, dict) else \
        sorted(metadata["key"] for metadata in found)
