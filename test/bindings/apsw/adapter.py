"""APSW."""
import apsw
import block1  # the page's hook

VERSION = "APSW " + apsw.apswversion()
Duplicate = apsw.ConstraintError
db = apsw.Connection("scenario.db")


def rows(sql, args=()):
    return list(db.cursor().execute(sql, args))


def transaction():
    return db


def reopen():
    global db
    db.close()
    db = apsw.Connection("scenario.db")
