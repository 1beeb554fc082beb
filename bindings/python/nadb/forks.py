"""Locks that a fork() cannot leave taken.

A lock that another thread has at the moment of fork() would stay taken in the
child, which does not have that thread. So the child begins with all of these
free.
"""
from __future__ import annotations

import os
import threading
import weakref
from typing import Any

_locks: "weakref.WeakSet[Any]" = weakref.WeakSet()


def lock() -> Any:
    """A threading.RLock that is free after fork()."""
    made = threading.RLock()
    _locks.add(made)
    return made


def _after_fork() -> None:
    for made in list(_locks):
        made._at_fork_reinit()


os.register_at_fork(after_in_child=_after_fork)
