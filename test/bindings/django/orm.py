#!/usr/bin/python3
"""django_test.py LIBRARY FOLDER - an nadb table through Django's ORM:
inspectdb, a model, save, update_or_create, filters, delete, atomic."""
import io
import sys

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection, models, transaction
from django.db.backends.signals import connection_created

from support import check, finish

lib, folder = sys.argv[1:]
settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3",
                           "NAME": f"{folder}/django.db"}},
    INSTALLED_APPS=[], DEFAULT_AUTO_FIELD="django.db.models.AutoField")
django.setup()


def load(sender, connection, **kwargs):
    connection.connection.enable_load_extension(True)
    connection.connection.load_extension(lib)


connection_created.connect(load)


class AnyField(models.Field):
    """A column without a type, as `value` is."""

    def db_type(self, connection):
        return None


class Entry(models.Model):
    key = models.TextField(primary_key=True)
    value = AnyField(null=True)
    tags = models.TextField(null=True)
    expires_at = models.FloatField(null=True)

    class Meta:
        managed = False
        app_label = "test"
        db_table = "kv"


class Whole(models.Model):
    """With a column that the store keeps by itself."""
    key = models.TextField(primary_key=True)
    value = AnyField(null=True)
    updated_at = models.FloatField(null=True)

    class Meta:
        managed = False
        app_label = "test"
        db_table = "kv"


def inspected(table):
    out = io.StringIO()
    call_command("inspectdb", table, stdout=out)
    return out.getvalue()


with connection.cursor() as c:
    # Without parentheses, and something in them, inspectdb cannot read it.
    c.execute("CREATE VIRTUAL TABLE bare USING nadb")
    c.execute("CREATE VIRTUAL TABLE kv USING nadb(namespace='kv')")
check("inspectdb", [w for w in ("key = models.TextField", "value = models.",
                                "updated_at = models.FloatField", "rowid",
                                "Unable") if w in inspected("kv")],
      ["key = models.TextField", "value = models.",
       "updated_at = models.FloatField"])
check("table-names", "kv" in connection.introspection.table_names(), True)

Entry.objects.create(key="a", value="one", tags='["x"]')
Entry(key="b", value=b"\0two").save()
Entry.objects.bulk_create([Entry(key=f"n{i}", value=i) for i in range(5)])
check("types", [Entry.objects.get(pk=k).value for k in ("a", "b", "n3")],
      ["one", b"\0two", 3])
e = Entry.objects.get(pk="a")
e.value = 2.5
e.save()
check("saved", Entry.objects.filter(value=2.5).count(), 1)
check("others", Entry.objects.filter(key__gte="b").count(), 6)
check("update", Entry.objects.filter(key__in=["n1", "n2"]).update(value=9), 2)
check("delete", Entry.objects.filter(pk="n4").delete()[0], 1)
check("get_or_create", Entry.objects.get_or_create(
    key="g", defaults={"value": 7})[1], True)
check("update_or_create", Entry.objects.update_or_create(
    key="g", defaults={"value": 8})[1], False)
check("ordered", list(Entry.objects.order_by("-key").values_list(
    "key", flat=True)[:2]), ["n3", "n2"])
try:
    with transaction.atomic():
        Entry.objects.create(key="lost")
        Entry.objects.create(key="a")
except django.db.IntegrityError as error:
    check("duplicate", str(error), "UNIQUE constraint failed: kv.key")
check("rolled-back", Entry.objects.filter(pk="lost").exists(), False)
check("raw", [e.key for e in Entry.objects.raw(
    "SELECT * FROM kv WHERE tags MATCH %s", ["x"])], ["a"])

# A model with updated_at writes back what it has read, so that the time stays.
w = Whole.objects.get(pk="a")
before = w.updated_at
w.value = "written back"
w.save()
check("updated_at-stays", Whole.objects.get(pk="a").updated_at, before)
w.value = "moved"
w.save(update_fields=["value"])
check("updated_at-moves", Whole.objects.get(pk="a").updated_at > before, True)
finish()
