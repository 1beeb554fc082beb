"""What a store takes as key, value, tags and time to live."""
from __future__ import annotations

import sqlite3
from typing import Any


def key(text: Any) -> None:
    """Raises ValueError where it is no key."""
    if not text or not isinstance(text, str):
        raise ValueError("the key must be a string that is not empty, not "
                         f"{text!r}")
    if not text.isascii():
        text.encode("utf-8")  # a ValueError where that cannot be


def value(data: Any) -> None:
    """Raises TypeError where it is no value."""
    if not isinstance(data, bytes):
        raise TypeError(f"the value must be bytes, not {_kind(data)}: encode "
                        "it")


def tags(names: Any) -> None:
    """Raises TypeError or ValueError where it is no list of tags, nor None."""
    if names is None:
        return
    if not isinstance(names, list):
        raise TypeError(f"tags must be a list of strings, not {_kind(names)}")
    for tag in names:
        if not isinstance(tag, str):
            raise TypeError(f"tags must be strings, not {_kind(tag)}")
        if not tag:
            raise ValueError("a tag must not be empty")


def ttl(seconds: Any) -> None:
    """Raises ValueError where it is no time to live."""
    if not isinstance(seconds, int) or isinstance(seconds, bool) or \
            seconds <= 0:
        raise ValueError("the time to live must be a positive number of "
                         f"seconds, without a fraction, not {seconds!r}")


def _kind(value: Any) -> str:
    return type(value).__name__


def as_value_error(error: sqlite3.Error) -> Exception:
    """A ValueError where the caller has given what the store does not take."""
    if isinstance(error, sqlite3.DataError):
        return ValueError(str(error))
    return error
