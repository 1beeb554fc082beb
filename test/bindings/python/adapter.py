"""Python's own sqlite3."""
import sqlite3
import sys

from block1 import connect  # the page's

VERSION = "Python " + sys.version.split()[0]
Duplicate = sqlite3.IntegrityError
db = connect("scenario.db")


def rows(sql, args=()):
    return db.execute(sql, args).fetchall()


def transaction():
    return db


def reopen():
    global db
    db.close()
    db = connect("scenario.db")
