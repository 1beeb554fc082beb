"""Peewee, without its models."""
import peewee
from block1 import open_database  # the page's

VERSION = "Peewee " + peewee.__version__
Duplicate = peewee.IntegrityError
db = open_database("scenario.db")


def rows(sql, args=()):
    return db.execute_sql(sql, args).fetchall()


def transaction():
    return db.atomic()


def reopen():
    db.close()
    db.connect()
