"""A table of nadb, for any number of threads.

A Table keeps SQLite connections that are not in use, each to a database in
memory that has the table in it. An operation takes one, and puts it back. So a
connection is used by one thread at a time, threads may come and go, and there
are as many connections as there were operations at the same moment.

After fork() the child begins with no connection: those of the parent may not
be used there. They are kept all the same, because closing them is use.
"""
from __future__ import annotations

import atexit
import os
import sqlite3
import time
import weakref
from typing import Any, Callable, Dict, List, Optional, Sequence, TypeVar

from .library import load

_T = TypeVar("_T")

# Connections that are kept for the next operation; others are closed.
_IDLE_MAX = 16
# How often a transaction is tried that conflicts with another process's.
_TRIES_MAX = 100
_BUSY = 5  # SQLITE_BUSY; its extended codes say why

_tables: "weakref.WeakSet[Table]" = weakref.WeakSet()
_of_the_parent: List[sqlite3.Connection] = []


def _after_fork() -> None:
    for table in list(_tables):
        _of_the_parent.extend(table._idle)
        table._idle = []


def _at_exit() -> None:
    for table in list(_tables):
        table.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)


def quote(text: str) -> str:
    """`text` as a literal of SQL.

    Raises:
        ValueError: it has a NUL character in it.
    """
    if "\0" in text:
        raise ValueError(f"{text!r} has a NUL character in it")
    return "'" + text.replace("'", "''") + "'"


def is_conflict(error: sqlite3.Error) -> bool:
    """Whether the transaction may succeed when it is tried again."""
    code = getattr(error, "sqlite_errorcode", None)  # Python 3.11
    if code is not None:
        return code & 0xff == _BUSY
    return "retry" in str(error) or "locked" in str(error)


class Table:
    """The virtual table `store`, with its options.

    Args:
        options: name -> value of each option of CREATE VIRTUAL TABLE.
    """

    def __init__(self, options: Dict[str, Any]) -> None:
        text = ", ".join(f"{name}={quote(str(value))}"
                         for name, value in options.items()
                         if value is not None)
        self._create = f"CREATE VIRTUAL TABLE store USING nadb({text})"
        self._idle: List[sqlite3.Connection] = []
        _tables.add(self)

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:", isolation_level=None,
                                     check_same_thread=False)
        try:
            load(connection)
            connection.execute(self._create)
        except BaseException:
            connection.close()
            raise
        return connection

    def take(self) -> sqlite3.Connection:
        """A connection, to be given back."""
        try:
            return self._idle.pop()
        except IndexError:
            pass
        return self._connect()

    def give(self, connection: sqlite3.Connection) -> None:
        """Takes back a connection that `take` has given."""
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if len(self._idle) < _IDLE_MAX:
            self._idle.append(connection)
        else:
            connection.close()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Optional[tuple]:
        """The first row of the answer, or None."""
        connection = self.take()
        try:
            return connection.execute(sql, parameters).fetchone()
        finally:
            self.give(connection)

    def value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The first column of the first row, or None."""
        row = self.row(sql, parameters)
        return None if row is None else row[0]

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> List[tuple]:
        """All rows of the answer."""
        connection = self.take()
        try:
            return connection.execute(sql, parameters).fetchall()
        finally:
            self.give(connection)

    def change(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """The number of rows that the statement has changed."""
        connection = self.take()
        try:
            return connection.execute(sql, parameters).rowcount
        finally:
            self.give(connection)

    def transaction(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Does `work` in a transaction, and commits it.

        When another process has changed what it read, all is taken back and
        `work` is called again.

        Returns:
            What `work` returns.
        """
        for tries in range(1, _TRIES_MAX + 1):
            connection = self.take()
            try:
                connection.execute("BEGIN")
                result = work(connection)
                connection.execute("COMMIT")
                return result
            except sqlite3.OperationalError as error:
                if not is_conflict(error) or tries == _TRIES_MAX:
                    raise
            finally:
                self.give(connection)
            time.sleep(min(0.001 * tries, 0.05))
        raise AssertionError("the loop returns or raises")

    def close(self) -> None:
        """Closes the connections; the next operation opens one again."""
        while self._idle:
            self._idle.pop().close()
