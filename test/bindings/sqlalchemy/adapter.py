"""SQLAlchemy, without its ORM."""
import contextlib

import sqlalchemy
from block1 import make_engine  # the page's

VERSION = "SQLAlchemy " + sqlalchemy.__version__
Duplicate = sqlalchemy.exc.IntegrityError
engine = make_engine("sqlite:///scenario.db")
current = None


def rows(sql, args=()):
    connection = current or engine.connect()
    result = connection.exec_driver_sql(sql, tuple(args))
    found = [tuple(r) for r in result] if result.returns_rows else []
    if current is None:
        connection.commit() if hasattr(connection, "commit") else None
        connection.close()
    return found


@contextlib.contextmanager
def transaction():
    global current
    try:
        with engine.begin() as current:
            yield
    finally:
        current = None


def reopen():
    engine.dispose()
