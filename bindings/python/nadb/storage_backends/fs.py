"""Stores in files; beside them values in files of their own."""
from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any, Dict, Optional

from .base import (BackendCapabilities, StorageBackend, read_row, row_size,
                   write_row)


class FileSystemStorage(StorageBackend):
    """A folder of stores.

    Paths of its stores lead to their rows. Any other path is a file below the
    folder, which is written under another name, synced and renamed.

    Args:
        base_path: the folder; made if it is missing.
    """

    name = "fs"

    def __init__(self, base_path: str) -> None:
        super().__init__()
        self.base_path = os.fspath(base_path)
        os.makedirs(self.base_path, exist_ok=True)

    def table_options(self) -> Dict[str, Any]:
        return {"backend": self.name, "path": os.path.abspath(self.base_path)}

    def get_capabilities(self) -> BackendCapabilities:
        return BackendCapabilities(
            supports_buffering=True, supports_native_ttl=True,
            supports_transactions=True, supports_metadata=True,
            supports_atomic_writes=True, write_strategy="buffered",
            is_distributed=False, is_persistent=True,
            supports_compression=True, supports_native_queries=True,
            max_value_size_bytes=2147418112)

    def get_full_path(self, relative_path: str) -> str:
        """The file of a path.

        Raises:
            ValueError: it is not below the folder.
        """
        base = os.path.abspath(self.base_path)
        full = os.path.abspath(os.path.join(base, relative_path))
        if full != base and not full.startswith(base.rstrip(os.sep) + os.sep):
            raise ValueError(f"{relative_path!r} leads out of {base}: give a "
                             "path below it")
        return full

    def ensure_directory_exists(self, path: str) -> bool:
        directory = os.path.dirname(path)
        os.makedirs(directory, exist_ok=True)
        return self._check_directory_permissions(directory)

    def _check_directory_permissions(self, directory: str) -> bool:
        """Whether it is a directory in which files can be written."""
        return os.path.isdir(directory) and \
            os.access(directory, os.R_OK | os.W_OK | os.X_OK)

    def write_data(self, relative_path: str, data: bytes) -> bool:
        place = self._row_of(relative_path)
        if place is not None:
            write_row(*place, data)
            return True
        full = self.get_full_path(relative_path)
        directory = os.path.dirname(full)
        os.makedirs(directory, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=directory, prefix=".nadb-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(handle)
            os.chmod(temporary, _mode_for(full))
            os.replace(temporary, full)
        except BaseException:
            os.unlink(temporary)
            raise
        _sync_directory(directory)
        return True

    def read_data(self, relative_path: str) -> Optional[bytes]:
        place = self._row_of(relative_path)
        if place is not None:
            return read_row(*place)
        try:
            with open(self.get_full_path(relative_path), "rb") as file:
                return file.read()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    def delete_file(self, relative_path: str) -> bool:
        place = self._row_of(relative_path)
        if place is not None:
            place[0].change("DELETE FROM store WHERE key = ?", (place[1],))
            return True
        try:
            os.unlink(self.get_full_path(relative_path))
        except FileNotFoundError:
            pass
        return True

    def file_exists(self, relative_path: str) -> bool:
        place = self._row_of(relative_path)
        if place is not None:
            return row_size(*place) is not None
        return os.path.isfile(self.get_full_path(relative_path))

    def get_file_size(self, relative_path: str) -> int:
        place = self._row_of(relative_path)
        if place is not None:
            return row_size(*place) or 0
        try:
            return os.path.getsize(self.get_full_path(relative_path))
        except FileNotFoundError:
            return 0

    def delete_directory(self, relative_path: str) -> bool:
        """Removes a directory below the folder, with all that is in it.

        Raises:
            ValueError: it is the folder itself, or not below it.
        """
        full = self.get_full_path(relative_path)
        if full == os.path.abspath(self.base_path):
            raise ValueError(f"{relative_path!r} is the folder of the storage "
                             "itself: give a directory below it")
        if os.path.isdir(full):
            shutil.rmtree(full)
        return True


def _mode_for(full: str) -> int:
    """The permissions of the file that is replaced, or those of a new one."""
    try:
        return os.stat(full).st_mode & 0o7777
    except FileNotFoundError:
        return 0o644


def _sync_directory(directory: str) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
