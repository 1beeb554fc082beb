"""Transactions: operations that are done all, or not at all."""
from __future__ import annotations

import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Dict, Iterator, List, Optional, Tuple

from . import forks
from .logging_config import LoggingConfig

if TYPE_CHECKING:
    from .store import KeyValueStore


class TransactionState(Enum):
    """What has become of a transaction."""
    ACTIVE = "active"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"


@dataclass
class Operation:
    """What a transaction is to do: set, set_with_ttl or delete."""
    op_type: str
    key: str
    value: Optional[bytes] = None
    tags: Optional[List[str]] = None
    ttl: Optional[int] = None


@dataclass
class Transaction:
    """Operations that wait for their commit.

    isolation_level is a note: whatever it says, the operations are committed
    at one moment, and no reader ever sees some of them without the others.
    """
    transaction_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    state: TransactionState = TransactionState.ACTIVE
    operations: List[Operation] = field(default_factory=list)
    created_at: float = field(default_factory=time.time)
    committed_at: Optional[float] = None
    rolled_back_at: Optional[float] = None
    isolation_level: str = "READ_COMMITTED"

    def add_operation(self, op_type: str, key: str,
                      value: Optional[bytes] = None,
                      tags: Optional[List[str]] = None,
                      ttl: Optional[int] = None) -> Operation:
        """Adds an operation, which is checked at the commit.

        Raises:
            RuntimeError: the transaction has ended.
        """
        if self.state is not TransactionState.ACTIVE:
            raise RuntimeError(
                f"this transaction is {self.state.value}: begin another one")
        operation = Operation(op_type, key, value, tags, ttl)
        self.operations.append(operation)
        return operation


class TransactionManager:
    """Begins and ends the transactions of a store."""

    def __init__(self, kv_store: "KeyValueStore") -> None:
        self.kv_store = kv_store
        self.active_transactions: Dict[str, Transaction] = {}
        self.lock = forks.lock()
        self.logger = LoggingConfig.get_logger("transaction")

    def begin_transaction(self, isolation_level: str = "READ_COMMITTED"
                          ) -> Transaction:
        """A new transaction. It holds no lock and no snapshot."""
        transaction = Transaction(isolation_level=isolation_level)
        with self.lock:
            self.active_transactions[transaction.transaction_id] = transaction
        return transaction

    def commit_transaction(self, transaction: Transaction) -> bool:
        """Does all operations in one transaction of the store; True.

        Raises:
            RuntimeError: the transaction has ended.
            Exception: what the first bad operation raises in a store; then
                none is done, and the transaction is rolled back.
        """
        with self.lock:
            if transaction.state is not TransactionState.ACTIVE:
                raise RuntimeError(
                    f"this transaction is {transaction.state.value}: it "
                    "cannot be committed")
            try:
                self.kv_store.apply(transaction.operations)
            except BaseException:
                self.rollback_transaction(transaction)
                raise
            transaction.state = TransactionState.COMMITTED
            transaction.committed_at = time.time()
            self.active_transactions.pop(transaction.transaction_id, None)
            return True

    def rollback_transaction(self, transaction: Transaction) -> bool:
        """Ends a transaction whose operations were not done; whether it was
        active."""
        with self.lock:
            if transaction.state is not TransactionState.ACTIVE:
                self.logger.warning(
                    "transaction %s is %s: there is nothing to roll back",
                    transaction.transaction_id, transaction.state.value)
                return False
            transaction.state = TransactionState.ROLLED_BACK
            transaction.rolled_back_at = time.time()
            self.active_transactions.pop(transaction.transaction_id, None)
            return True

    @contextmanager
    def transaction(self, isolation_level: str = "READ_COMMITTED"
                    ) -> Iterator["TransactionContext"]:
        """`with`: commits at the end of the block, rolls back when an
        exception leaves it."""
        transaction = self.begin_transaction(isolation_level)
        try:
            yield TransactionContext(self, transaction)
        except BaseException:
            self.rollback_transaction(transaction)
            raise
        self.commit_transaction(transaction)

    def get_active_transactions(self) -> List[Transaction]:
        """Those that have not ended."""
        with self.lock:
            return list(self.active_transactions.values())

    def cleanup_stale_transactions(self, max_age_seconds: float = 3600
                                   ) -> None:
        """Rolls back those that are older."""
        before = time.time() - max_age_seconds
        for transaction in self.get_active_transactions():
            if transaction.created_at <= before:
                self.rollback_transaction(transaction)


class TransactionContext:
    """What `with store.transaction()` gives: methods that add operations.

    Reading the store within the block shows it as it is before them.
    """

    def __init__(self, manager: TransactionManager,
                 transaction: Transaction) -> None:
        self.manager = manager
        self.transaction = transaction
        self.kv_store = manager.kv_store

    def _add(self, *operation: object) -> None:
        self.kv_store.check_operation(
            self.transaction.add_operation(*operation))  # type: ignore

    def set(self, key: str, value: bytes,
            tags: Optional[List[str]] = None) -> None:
        """As KeyValueStore.set, at the commit."""
        self._add("set", key, value, tags)

    def set_with_ttl(self, key: str, value: bytes, ttl_seconds: int,
                     tags: Optional[List[str]] = None) -> None:
        """As KeyValueStore.set_with_ttl, at the commit."""
        self._add("set_with_ttl", key, value, tags, ttl_seconds)

    def delete(self, key: str) -> None:
        """As KeyValueStore.delete, at the commit."""
        self._add("delete", key)

    def batch_set(self, items: List[Tuple[str, bytes, Optional[List[str]]]]
                  ) -> None:
        """`set` of each (key, value, tags)."""
        for key, value, tags in items:
            self.set(key, value, tags)

    def batch_delete(self, keys: List[str]) -> None:
        """`delete` of each key."""
        for key in keys:
            self.delete(key)

    def get_operation_count(self) -> int:
        """How many operations there are."""
        return len(self.transaction.operations)
