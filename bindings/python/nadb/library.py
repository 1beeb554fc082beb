"""Finding the library and loading it into connections."""
from __future__ import annotations

import os
import sqlite3
from typing import Any


def loadable_path() -> str:
    """The library that `load` loads: nadb.so beside this file.

    Where the package has none in it, it is the bare name, which the system's
    loader finds where `make install` or the Debian package has put it.
    """
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                          "nadb.so")
    return beside if os.path.exists(beside) else "nadb"


def load(connection: Any) -> None:
    """Loads nadb into a connection of sqlite3 or APSW.

    Where the connection may not load extensions, it may for this call.

    Raises:
        RuntimeError: this Python cannot load extensions.
        sqlite3.OperationalError: the library cannot be loaded.
    """
    if hasattr(connection, "enableloadextension"):  # APSW
        connection.enableloadextension(True)
        try:
            connection.loadextension(loadable_path())
        finally:
            connection.enableloadextension(False)
        return
    if not hasattr(connection, "enable_load_extension"):
        raise RuntimeError(
            "this Python's sqlite3 was built without loading of extensions: "
            "use the system's Python, or APSW")
    connection.enable_load_extension(True)
    try:
        connection.load_extension(loadable_path())
    finally:
        connection.enable_load_extension(False)


def version() -> str:
    """The version of the library."""
    connection = sqlite3.connect(":memory:")
    try:
        load(connection)
        return connection.execute("SELECT nadb_version()").fetchone()[0]
    finally:
        connection.close()
