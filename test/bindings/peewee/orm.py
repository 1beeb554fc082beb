#!/usr/bin/python3
"""peewee_test.py LIBRARY FOLDER - an nadb table through Peewee."""
import sys

from peewee import (BareField, Expression, FloatField, IntegrityError, Model,
                    TextField, fn)
from playhouse.reflection import generate_models
from playhouse.sqlite_ext import SqliteExtDatabase

from support import check, finish

lib, folder = sys.argv[1:]
db = SqliteExtDatabase(f"{folder}/peewee.db")
db.load_extension(lib)


class Entry(Model):
    key = TextField(primary_key=True)
    value = BareField(null=True)
    tags = TextField(null=True)
    expires_at = FloatField(null=True)

    class Meta:
        database = db
        table_name = "kv"


db.execute_sql("CREATE VIRTUAL TABLE kv USING nadb")
check("reflected", generate_models(db)["kv"]._meta.primary_key.name, "key")
Entry.create(key="a", value="one", tags='["x"]')
Entry.insert_many([("b", b"\0two"), ("c", 3)],
                  fields=[Entry.key, Entry.value]).execute()
check("types", [bytes(e.value) if isinstance(e.value, bytes) else e.value
                for e in Entry.select().order_by(Entry.key)],
      ["one", b"\0two", 3])
e = Entry.get_by_id("a")
e.value = 2.5
check("save", e.save(), 1)
check("others", Entry.get_by_id("c").value, 3)
# Without force_insert, save() of a model with its own key is an UPDATE.
check("save-new", Entry(key="s", value=1).save(), 0)
check("save-forced", Entry(key="s", value=1).save(force_insert=True), 1)
check("replace", Entry.replace(key="s", value=2).execute() is not None
      and Entry.get_by_id("s").value, 2)
check("update", Entry.update(value=9).where(Entry.key << ["b", "c"]).execute(),
      2)
check("delete", Entry.delete_by_id("s"), 1)
check("match", [e.key for e in Entry.select().where(
    Expression(Entry.tags, "MATCH", "x"))], ["a"])
check("incr", Entry.select(fn.nadb_incr("kv", "n", 2)).limit(1).scalar(), 2)
try:
    with db.atomic():
        Entry.create(key="lost")
        Entry.create(key="a")
except IntegrityError as error:
    check("duplicate", str(error), "UNIQUE constraint failed: kv.key")
check("rolled-back", Entry.get_or_none(Entry.key == "lost"), None)
finish()
