"""Pony ORM, without its entities."""
import os

import pony
from block1 import open_database  # the page's
from pony.orm import IntegrityError, db_session

VERSION = "Pony " + pony.__version__
Duplicate = IntegrityError
db = open_database(os.path.abspath("scenario.db"))


def rows(sql, args=()):
    # Pony finds parameters as Python expressions, so they have names here.
    parts = sql.split("?")
    names = {f"p{i}": value for i, value in enumerate(args)}
    text = parts[0] + "".join(f"$p{i}{p}" for i, p in enumerate(parts[1:]))
    with db_session:
        cursor = db.execute(text, names)
        return cursor.fetchall() if cursor.description else []


def transaction():
    return db_session


def reopen():
    db.disconnect()
