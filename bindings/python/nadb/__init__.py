"""nadb, a key-value store as a virtual table of SQLite.

    import sqlite3, nadb
    db = sqlite3.connect("app.db")
    nadb.load(db)              # each connection that uses its tables
    db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS kv USING nadb")
"""
import os

__all__ = ["load", "loadable_path"]


def loadable_path():
    """The path of the library, for programs that load it by themselves."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "nadb.so")


def load(connection):
    """Loads nadb into a connection of sqlite3 or APSW.

    Where the connection may not load extensions, it may for this call.
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
