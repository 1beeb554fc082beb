"""Backups of a store: full and incremental, verified, restored, removed.

They are those of the library (docs/backups.md): sql may read them, and those
that a store in files has made are restored into one on Redis. Backups that the
Python NADB has left in the folder are listed beside them, and restored too.
"""
from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional

from . import forks
from .logging_config import LoggingConfig
from .old_backups import BackupMetadata, OldBackups
from .records import iso_time

if TYPE_CHECKING:
    from .store import KeyValueStore

__all__ = ["BackupManager", "BackupMetadata"]

_REPLACING = "_replacing"


class BackupManager:
    """The backups of a store in a folder.

    Args:
        kv_store: the store.
        backup_dir: the folder, made by the first backup, which may have
            backups of other stores too.
    """

    def __init__(self, kv_store: "KeyValueStore",
                 backup_dir: str = "./backups") -> None:
        self.kv_store = kv_store
        self.backup_dir = Path(backup_dir)
        self.logger = LoggingConfig.get_logger("backup")
        self.lock = forks.lock()

    @property
    def _dir(self) -> str:
        return str(self.backup_dir.absolute())

    @property
    def _old(self) -> OldBackups:
        return OldBackups(self.backup_dir)

    # --- making ---

    def create_full_backup(self, backup_id: Optional[str] = None,
                           compression: bool = True) -> BackupMetadata:
        """Backs all rows up.

        Args:
            backup_id: letters, digits, _, - and dots, no dot first; by
                default full_YYYYmmdd_HHMMSS. A backup of that id is replaced.

        Raises:
            ValueError: the id cannot be one, or others depend on that backup.
        """
        return self._create(None, backup_id, compression)

    def create_incremental_backup(self, parent_backup_id: str,
                                  backup_id: Optional[str] = None,
                                  compression: bool = True
                                  ) -> BackupMetadata:
        """Backs up what has changed since another backup, deletions included.

        Args:
            parent_backup_id: that backup.
            backup_id: by default inc_YYYYmmdd_HHMMSS.

        Raises:
            ValueError: there is no such parent, or the id cannot be one.
        """
        parent = self._find(parent_backup_id)
        if parent is None:
            raise ValueError(f"parent backup {parent_backup_id} not found in "
                             f"{self.backup_dir}")
        if parent_backup_id in self._old.entries():
            raise ValueError(
                f"backup {parent_backup_id} was made by the Python NADB, "
                "which kept no deletions: make a full backup first")
        return self._create(parent_backup_id, backup_id, compression)

    def _create(self, parent: Optional[str], backup_id: Optional[str],
                compression: bool) -> BackupMetadata:
        with self.lock:
            if backup_id is None or self._find(backup_id) is None:
                return self._backup(backup_id, parent, compression)
            if backup_id == parent:
                raise ValueError(f"backup {backup_id} cannot replace its own "
                                 "parent: give another id")
            self._refuse_dependents(backup_id)
            # At any moment one of the two is there whole.
            spare = backup_id[:100] + _REPLACING
            self._backup(spare, parent, compression)
            self.delete_backup(backup_id)
            result = self._backup(backup_id, parent, compression)
            self.delete_backup(spare)
            return result

    def _backup(self, backup_id: Optional[str], parent: Optional[str],
                compression: bool) -> BackupMetadata:
        self.backup_dir.mkdir(parents=True, exist_ok=True)
        try:
            made = json.loads(self.kv_store.table.value(
                "SELECT nadb_backup('store', ?, ?, ?, ?)",
                (self._dir, backup_id, parent,
                 "on" if compression else "off")))
        except sqlite3.OperationalError as error:
            if "id" in str(error) and "letters" in str(error):
                raise ValueError(str(error)) from error
            raise
        self.logger.info("backup %s of %s: %d rows", made["id"],
                         self.kv_store.name, made["rows"])
        found = self._find(made["id"])
        if found is None:
            raise RuntimeError(f"backup {made['id']} was removed meanwhile")
        return found

    # --- listing ---

    def list_backups(self) -> List[BackupMetadata]:
        """All backups in the folder. One whose description is damaged has the
        backup_type `damaged`."""
        if not self.backup_dir.is_dir():
            return []
        rows = self.kv_store.table.rows(
            "SELECT id, created_at, type, db, namespace, rows, value_bytes, sha256, "
            "parent, compression, problem FROM nadb_backups(?)", (self._dir,))
        listed = [
            BackupMetadata(
                backup_id=name, timestamp=iso_time(created) or "",
                backup_type="damaged" if problem else kind,
                source_db=db or "", source_namespace=namespace or "",
                file_count=count or 0, total_size=size or 0,
                checksum=checksum or "", parent_backup_id=parent,
                compression=compression != "off")
            for (name, created, kind, db, namespace, count, size, checksum,
                 parent, compression, problem) in rows]
        return [*self._old.entries().values(), *listed]

    def _find(self, backup_id: str) -> Optional[BackupMetadata]:
        return next((backup for backup in self.list_backups()
                     if backup.backup_id == backup_id), None)

    # --- verifying and restoring ---

    def verify_backup_integrity(self, backup_id: str) -> bool:
        """Whether there is such a backup, and every byte of it and of those
        that it depends on is right; what is wrong is logged."""
        if self._find(backup_id) is None:
            return False
        if backup_id in self._old.entries():
            found = self._old.problem(backup_id) or "ok"
        else:
            found = self.kv_store.table.value(
                "SELECT nadb_verify_backup(?, ?)", (self._dir, backup_id))
        if found != "ok":
            self.logger.error("backup %s: %s", backup_id, found)
        return found == "ok"

    def restore_backup(self, backup_id: str, verify_integrity: bool = True,
                       clear_existing: bool = False) -> bool:
        """Restores the rows of a backup and of those that it depends on; True.

        It is one transaction: all is restored, or nothing has changed.

        Args:
            verify_integrity: has no effect, because checksums are verified
                always, before anything is written.
            clear_existing: the store then has these rows and no others.

        Raises:
            ValueError: there is no such backup.
            RuntimeError: it is damaged.
        """
        if self._find(backup_id) is None:
            raise ValueError(f"backup {backup_id} not found in "
                             f"{self.backup_dir}")
        if not self.verify_backup_integrity(backup_id):
            raise RuntimeError(f"backup {backup_id} failed its integrity "
                               "check: nothing was restored")
        if backup_id in self._old.entries():
            self._old.restore(self.kv_store.table, backup_id, clear_existing)
        else:
            self.kv_store.table.value(
                "SELECT nadb_restore('store', ?, ?" +
                (", 'clear')" if clear_existing else ")"),
                (self._dir, backup_id))
        self.kv_store.flush()
        return True

    # --- removing ---

    def _refuse_dependents(self, backup_id: str) -> None:
        dependents = [backup.backup_id for backup in self.list_backups()
                      if backup.parent_backup_id == backup_id]
        if dependents:
            raise ValueError(
                f"backup {backup_id} is needed by {', '.join(dependents)}: "
                "remove them first")

    def delete_backup(self, backup_id: str, force: bool = False) -> bool:
        """Removes a backup; whether there was one.

        Args:
            force: also when others depend on it, which are of no use then.

        Raises:
            ValueError: others depend on it.
        """
        with self.lock:
            if self._find(backup_id) is None:
                return False
            if not force:
                self._refuse_dependents(backup_id)
            if backup_id in self._old.entries():
                self._old.delete(backup_id)
                return True
            return self.kv_store.table.value(
                "SELECT nadb_delete_backup(?, ?, 'force')",
                (self._dir, backup_id)) > 0

    def cleanup_old_backups(self, keep_days: float = 30,
                            keep_count: int = 10) -> int:
        """Removes the backups that are older than keep_days and not among the
        newest keep_count, but none that one which stays needs; their number.
        """
        if not self.backup_dir.is_dir():
            return 0
        with self.lock:
            before = datetime.now() - timedelta(days=keep_days)
            newest = sorted(self.list_backups(), reverse=True,
                            key=lambda backup: backup.timestamp)
            old = self._old.entries()
            removed = 0
            for backup in newest[keep_count:]:  # children before parents
                if backup.backup_id in old and \
                        datetime.fromisoformat(backup.timestamp) < before:
                    needed = any(other.parent_backup_id == backup.backup_id
                                 for other in self._old.entries().values())
                    if not needed:
                        self._old.delete(backup.backup_id)
                        removed += 1
            return removed + self.kv_store.table.value(
                "SELECT nadb_prune_backups(?, ?, ?)",
                (self._dir, keep_days, keep_count))
