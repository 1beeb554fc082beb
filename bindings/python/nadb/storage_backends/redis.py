"""Stores on a Redis server; beside them values by path."""
from __future__ import annotations

import os
import sqlite3
import sys
from typing import Any, Dict, List, Optional, Tuple

from ..table import Table
from .base import BackendCapabilities, RowStorage
from .loose import LooseMetadata

# What redis-py calls options that the table has too.
_OPTIONS = {"username": "user", "unix_socket_path": "socket", "ssl": "tls"}


def _connection_error(message: str) -> Exception:
    """A ConnectionError; in a program that uses redis-py, also one of its."""
    client = sys.modules.get("redis")
    kind = getattr(client, "ConnectionError", None)
    if kind is None or not issubclass(kind, Exception):
        return ConnectionError(message)
    return type("ConnectionError", (kind, ConnectionError), {})(message)


class RedisStorage(RowStorage):
    """Stores on a server.

    Paths of its stores lead to their rows. Any other path is the key of a row
    in a store of its own: db `storage_backends`, namespace `paths`; metadata
    of other stores is in the namespace `metadata`.

    Args:
        base_path: has no effect: nothing of such a store is in files.
        host, port, db: the server, and the number of its database.
        password: goes to the library by an environment variable of this
            process, because the options of a table can be read.
        socket_timeout, connection_timeout: seconds.
        max_connections: that the stores of this process have at most.
        connection_pool_timeout: seconds to wait for one of them.
        options: username, unix_socket_path and ssl, as redis-py has them, and
            any option for Redis of docs/options.md.

    Raises:
        ConnectionError: the server does not answer. In a program that has
            imported redis-py it is also a redis.ConnectionError.
        sqlite3.OperationalError: an option is wrong.
    """

    name = "redis"

    def __init__(self, base_path: Optional[str] = None,
                 host: str = "localhost", port: int = 6379, db: int = 0,
                 password: Optional[str] = None,
                 socket_timeout: float = 10.0,
                 connection_timeout: float = 5.0,
                 max_connections: int = 10,
                 connection_pool_timeout: float = 20,
                 **options: Any) -> None:
        super().__init__()
        self.connection_params: Dict[str, Any] = {
            "host": host, "port": port, "db": db, "password": password,
            "socket_timeout": socket_timeout,
            "socket_connect_timeout": connection_timeout,
            "max_connections": max_connections,
            "connection_pool_timeout": connection_pool_timeout, **options}
        options = {**self.table_options(), "db": "storage_backends"}
        self._table = Table({**options, "namespace": "paths"})
        self._loose = LooseMetadata(Table({**options,
                                           "namespace": "metadata"}))
        self.connected = False
        self._connect()

    def table_options(self) -> Dict[str, Any]:
        given = dict(self.connection_params)
        result: Dict[str, Any] = {
            "backend": self.name,
            "host": given.pop("host"), "port": given.pop("port"),
            "redis_db": given.pop("db"),
            "password_env": _password_variable(given.pop("password")),
            "timeout": given.pop("socket_timeout"),
            "connect_timeout": given.pop("socket_connect_timeout"),
            "pool_size": given.pop("max_connections"),
            "pool_timeout": given.pop("connection_pool_timeout")}
        for name, value in given.items():
            if isinstance(value, bool):
                value = "on" if value else "off"
            result[_OPTIONS.get(name, name)] = value
        if result.get("socket") or result.get("url") or result.get("sentinel"):
            del result["host"], result["port"]
        return result

    def _connect(self) -> bool:
        """Asks the server for something; True.

        Raises:
            ConnectionError: it does not answer.
        """
        try:
            self._table.row("SELECT 1 FROM store WHERE key = ''")
        except sqlite3.OperationalError as error:
            self.connected = False
            raise _connection_error(str(error)) from error
        self.connected = True
        return True

    def _ensure_connection(self) -> bool:
        return self._connect()

    @property
    def redis(self) -> Any:
        """A client of redis-py for the same server, where it is installed."""
        import redis
        given = self.connection_params
        return redis.Redis(
            host=given["host"], port=given["port"], db=given["db"],
            password=given["password"],
            socket_timeout=given["socket_timeout"])

    def get_capabilities(self) -> BackendCapabilities:
        return BackendCapabilities(
            supports_buffering=False, supports_native_ttl=True,
            supports_transactions=True, supports_metadata=True,
            supports_atomic_writes=True, write_strategy="immediate",
            is_distributed=True, is_persistent=True,
            supports_compression=True, supports_native_queries=True,
            max_value_size_bytes=512 * 1024 * 1024)

    def _place(self, path: str) -> Tuple[Table, str]:
        return self._row_of(path) or (self._table, path)

    def get_full_path(self, relative_path: str) -> str:
        """The path itself: it is a key."""
        return relative_path

    def ensure_directory_exists(self, path: str) -> bool:
        """True: a server has no directories."""
        return True

    def delete_directory(self, relative_path: str) -> int:
        """Removes the values whose paths begin so; their number."""
        return self._table.change(
            "DELETE FROM store WHERE substr(key, 1, ?) = ?",
            (len(relative_path), relative_path))

    # --- metadata of other stores ---

    def get_metadata(self, key: str, db: str, namespace: str
                     ) -> Optional[Dict[str, Any]]:
        if self.has_store(db, namespace):
            return super().get_metadata(key, db, namespace)
        return self._loose.get(key, db, namespace)

    def set_metadata(self, metadata: Dict[str, Any]) -> bool:
        if self.has_store(metadata["db"], metadata["namespace"]):
            return super().set_metadata(metadata)
        return self._loose.set(metadata)

    def delete_metadata(self, key: str, db: str, namespace: str) -> bool:
        if self.has_store(db, namespace):
            return super().delete_metadata(key, db, namespace)
        return self._loose.delete(key, db, namespace)

    def query_metadata(self, query: Dict[str, Any]) -> List[Dict[str, Any]]:
        if self.has_store(query["db"], query["namespace"]):
            return super().query_metadata(query)
        return self._loose.query(query)

    def cleanup_expired(self) -> List[Dict[str, Any]]:
        """Removes the metadata of other stores whose time is over; what it
        was."""
        return self._loose.cleanup_expired()

    def close_connections(self) -> None:
        super().close_connections()
        self._table.close()
        self._loose.table.close()
        self.connected = False


def _password_variable(password: Optional[str]) -> Optional[str]:
    """The environment variable that now holds the password."""
    if password is None:
        return None
    number = 1
    while True:
        name = f"NADB_PASSWORD_{number}"
        if os.environ.setdefault(name, password) == password:
            return name
        number += 1
