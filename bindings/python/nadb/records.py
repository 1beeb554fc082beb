"""Rows as the dictionaries of metadata, and queries for them as SQL."""
from __future__ import annotations

import json
from datetime import datetime
from hashlib import blake2b
from typing import Any, Dict, Iterable, List, Optional, Tuple, Union

# The columns that `metadata_of` takes.
COLUMNS = "key, tags, created_at, updated_at, accessed_at, size, expires_at"

Moment = Union[str, int, float, datetime]


def iso_time(seconds: Optional[float]) -> Optional[str]:
    """Unix time as local time without a zone, as datetime.now() writes it."""
    return None if seconds is None else \
        datetime.fromtimestamp(seconds).isoformat()


def unix_time(moment: Moment) -> float:
    """Unix time of an ISO 8601 text, a datetime, or a number of seconds.

    Without a time zone it is local time.

    Raises:
        ValueError: the text is no time.
        TypeError: it is none of these.
    """
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    if isinstance(moment, datetime):
        return moment.timestamp()
    if isinstance(moment, (int, float)):
        return float(moment)
    raise TypeError(f"{moment!r} is no time: give a datetime, an ISO 8601 "
                    "text, or seconds since 1970")


def as_bytes(value: Any) -> bytes:
    """A value as bytes; programs that speak SQL may store other types."""
    if isinstance(value, bytes):
        return value
    return b"" if value is None else str(value).encode("utf-8")


def path_of(db: str, namespace: str, key: str) -> str:
    """The name of a value in a storage."""
    return f"{db}/{namespace}/{key}"


def names_of(key: Union[str, bytes], db: str, namespace: str
             ) -> Dict[str, Any]:
    """id, path, key, db and namespace of a row. The id is made from the
    names: it is the same for a key at any time."""
    if isinstance(key, bytes):
        key = key.decode("utf-8", "surrogateescape")
    path = path_of(db, namespace, key)
    digest = blake2b(path.encode("utf-8", "surrogateescape"), digest_size=8)
    return {"id": int.from_bytes(digest.digest(), "big") >> 1, "path": path,
            "key": key, "db": db, "namespace": namespace}


def metadata_of(row: tuple, db: str, namespace: str) -> Dict[str, Any]:
    """The metadata of a row of COLUMNS.

    `ttl` is the time to live that the row was given at `last_updated`, in
    seconds.
    """
    key, tags, created, updated, accessed, size, expires = row
    return {
        **names_of(key, db, namespace),
        "created_at": iso_time(created),
        "last_updated": iso_time(updated),
        "last_accessed": iso_time(max(accessed or 0, updated)),
        "size": size,
        "ttl": None if expires is None else round(expires - updated),
        "tags": json.loads(tags) if tags else [],
    }


def tags_json(tags: Optional[Iterable[str]]) -> Optional[str]:
    """Tags as the column `tags` takes them; None when there are none."""
    return json.dumps(list(tags), ensure_ascii=False) if tags else None


def tags_match(tags: Iterable[str], operator: str) -> str:
    """The expression of `tags MATCH` for tags joined by AND or OR."""
    return f" {operator} ".join('"' + tag.replace('"', '""') + '"'
                                for tag in tags)


def _key_term(pattern: str) -> Tuple[str, str]:
    """A part of the key, or a pattern for all of it, with `*` in it."""
    if "*" in pattern:
        glob = pattern.replace("[", "[[]").replace("?", "[?]")
        return "key GLOB ?", glob
    for special in "\\%_":
        pattern = pattern.replace(special, "\\" + special)
    return "key LIKE ? ESCAPE '\\'", f"%{pattern}%"


_TIMES = {"created": "created_at", "updated": "updated_at",
          "accessed": "max(coalesce(accessed_at, 0), updated_at)"}


def query_terms(query: Dict[str, Any], accessed: bool = True
                ) -> Tuple[List[str], List[Any]]:
    """The terms of WHERE, and their parameters, of a query for metadata.

    Args:
        query: key (a part of the key, or a pattern with `*`), tags (all of
            them), min_size, max_size, and created_, updated_ and accessed_,
            each with before or after. Its db and namespace say which table,
            and are left to the caller.
        accessed: whether there is a column accessed_at.

    Raises:
        ValueError: it asks for something else.
    """
    terms: List[str] = []
    parameters: List[Any] = []
    for name, wanted in query.items():
        if name in ("db", "namespace") or wanted is None:
            continue
        column, _, side = name.rpartition("_")
        if name == "key":
            term, wanted = _key_term(wanted)
        elif name == "tags":
            if not wanted:
                continue
            if "" in wanted:  # no row has an empty tag
                terms.append("0")
                continue
            term, wanted = "tags MATCH ?", tags_match(wanted, "AND")
        elif name == "min_size":
            term = "size >= ?"
        elif name == "max_size":
            term = "size <= ?"
        elif column in _TIMES and side in ("before", "after"):
            time = _TIMES[column]
            if column == "accessed" and not accessed:
                time = "updated_at"
            term = f"{time} {'<=' if side == 'before' else '>='} ?"
            wanted = unix_time(wanted)
        else:
            raise ValueError(
                f"a query for metadata has no '{name}': it takes key, tags, "
                "min_size, max_size, and created_, updated_ or accessed_ with "
                "before or after")
        terms.append(term)
        parameters.append(wanted)
    return terms, parameters
