#!/usr/bin/python3
"""sqlalchemy_test.py LIBRARY FOLDER - an nadb table through SQLAlchemy's ORM:
reflected, mapped, inserted, changed, deleted, rolled back. docs/orms.md says
what to write; this is that."""
import sys
import warnings

from sqlalchemy import (Column, Float, Integer, MetaData, Table, Text,
                        create_engine, event, func, inspect, text)
from sqlalchemy.orm import Session, declarative_base

from support import check, finish

lib, folder = sys.argv[1:]
warnings.simplefilter("ignore")
engine = create_engine(f"sqlite:///{folder}/sqlalchemy.db")


@event.listens_for(engine, "connect")
def load(connection, record):
    connection.enable_load_extension(True)
    connection.load_extension(lib)
    connection.enable_load_extension(False)


Base = declarative_base()


class Entry(Base):
    __tablename__ = "kv"
    key = Column(Text, primary_key=True)
    value = Column()  # of any type
    tags = Column(Text)
    expires_at = Column(Float)


with engine.begin() as c:
    c.execute(text("CREATE VIRTUAL TABLE kv USING nadb(namespace='kv')"))

columns = [c["name"] for c in inspect(engine).get_columns("kv")]
check("columns", columns, ["key", "value", "tags", "ttl", "expires_at",
                           "created_at", "updated_at", "size"])
check("primary-key", inspect(engine).get_pk_constraint("kv")
      ["constrained_columns"], ["key"])
reflected = Table("kv", MetaData(), autoload_with=engine)
check("reflected", [c.name for c in reflected.primary_key], ["key"])

with Session(engine) as s:
    s.add_all([Entry(key="a", value="one", tags='["x"]'),
               Entry(key="b", value=b"\0two"), Entry(key="c", value=3)])
    s.commit()
with Session(engine) as s:
    check("types", [e.value for e in s.query(Entry).order_by(Entry.key)],
          ["one", b"\0two", 3])
    s.get(Entry, "b").value = 2.5
    s.delete(s.get(Entry, "c"))
    s.commit()
with Session(engine) as s:
    check("changed", [(e.key, e.value) for e in s.query(Entry)],
          [("a", "one"), ("b", 2.5)])
    check("prefix", s.query(Entry).filter(Entry.key.startswith("a")).count(), 1)
    check("in", s.query(Entry).filter(Entry.key.in_(["a", "b", "q"])).count(), 2)
    check("match", [k for k, in s.query(Entry.key).filter(
        Entry.tags.op("MATCH")("x NOT y"))], ["a"])
    check("function", s.scalar(func.nadb_incr("kv", "n", 5)), 5)
    s.get(Entry, "a").value = "lost"
    s.flush()
    s.rollback()
with Session(engine) as s:
    check("rolled-back", s.get(Entry, "a").value, "one")
    s.merge(Entry(key="a", value="merged"))
    s.merge(Entry(key="m", value="new"))
    s.commit()
    check("merged", [(e.key, e.value, e.tags) for e in
                     s.query(Entry).filter(Entry.key.in_(["a", "m"]))],
          [("a", "merged", '["x"]'), ("m", "new", None)])
    updated = s.query(Entry).filter(Entry.key == "m").update({"value": 1})
    deleted = s.query(Entry).filter(Entry.key == "m").delete()
    s.commit()
    check("bulk", (updated, deleted), (1, 1))
finish()
