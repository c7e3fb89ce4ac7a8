"""Several threads' writes in one transaction, each with an outcome of its own."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast

from capa_core.errors import UnavailableError

T = TypeVar("T")
INTERRUPTED = "the thread that committed for all was interrupted. Try again."


class Job(Generic[T]):
    """One write that waits for somebody to commit it, and then its outcome."""

    __slots__ = ("_asleep", "_result", "done", "error", "function", "has_turn")

    def __init__(self, function: Callable[[sqlite3.Connection], T]) -> None:
        self.function = function
        self.done = False
        self.has_turn = False
        self.error: Exception | None = None
        self._result: T | None = None
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def called(self, timeout_s: float = -1) -> bool:
        """Sleep until `call`; `False` if *timeout_s* passed first."""
        if not self._asleep.acquire(timeout=timeout_s):
            return False
        self._asleep.release()
        return True

    def call(self) -> None:
        """Wake the thread whose job this is."""
        if self._asleep.locked():
            self._asleep.release()

    def finish(self) -> None:
        """Say that there is an outcome."""
        self.done = True
        self.call()

    def run(self, connection: sqlite3.Connection) -> None:
        """Call the function; what it raises undoes its own changes only and is kept for `outcome`."""
        connection.execute("SAVEPOINT job")
        try:
            self._result = self.function(connection)
        except Exception as error:
            if not connection.in_transaction:
                raise  # a full disk, say: SQLite has undone the whole transaction
            self.error = error
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")

    def fail(self, error: Exception) -> None:
        """End with *error*, unless it has one of its own."""
        self.error = self.error or error
        self.finish()

    def outcome(self) -> T:
        """Return what the function returned, or raise what it raised."""
        if self.error is not None:
            raise self.error
        return cast("T", self._result)


def commit_together(connection: sqlite3.Connection, jobs: Sequence[Job[Any]]) -> None:
    """Run *jobs* in the transaction that is open, commit it, and only then call them done.

    If the transaction as a whole fails, all of them fail. Interrupts are raised after that.
    """
    try:
        for job in jobs:
            job.run(connection)
        connection.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - it belongs to the callers, who raise it
        _give_up(connection, jobs, error)
    except BaseException:
        _give_up(connection, jobs, UnavailableError(INTERRUPTED))
        raise
    for job in jobs:
        job.finish()


def _give_up(connection: sqlite3.Connection, jobs: Sequence[Job[Any]], error: Exception) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    for job in jobs:
        job.fail(error)
