"""Backends of stores, by name: fs, redis."""
from __future__ import annotations

from typing import Any

from .base import BackendCapabilities, StorageBackend

__all__ = ["StorageBackend", "BackendCapabilities", "StorageFactory"]


class StorageFactory:
    """Makes a storage from the name of its backend."""

    @staticmethod
    def create_storage(backend_type: str, **kwargs: Any) -> StorageBackend:
        """A storage of the backend `fs` or `redis`.

        Args:
            backend_type: its name.
            kwargs: what its class takes: FileSystemStorage, RedisStorage.

        Raises:
            ValueError: there is no such backend.
        """
        if backend_type == "fs":
            from .fs import FileSystemStorage
            return FileSystemStorage(**kwargs)
        if backend_type == "redis":
            from .redis import RedisStorage
            return RedisStorage(**kwargs)
        raise ValueError(f"there is no backend {backend_type!r}: there are "
                         "'fs' and 'redis'")
