"""Django, without its ORM."""
import django
from django.conf import settings
from django.db import IntegrityError, connection, transaction as django_atomic

settings.configure(DATABASES={"default": {
    "ENGINE": "django.db.backends.sqlite3", "NAME": "scenario.db"}})
django.setup()
import block1  # the page's receiver

VERSION = "Django " + django.get_version()
Duplicate = IntegrityError


def rows(sql, args=()):
    with connection.cursor() as c:
        c.execute(sql.replace("?", "%s"), args)
        return c.fetchall() if c.description else []


def transaction():
    return django_atomic.atomic()


def reopen():
    connection.close()
