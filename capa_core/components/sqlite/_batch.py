"""Group commit: the writes of several threads in one transaction, each with its own outcome."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, cast

from capa_core.components.sqlite._uptime import Connection
from capa_core.errors import UnavailableError

T = TypeVar("T")
INTERRUPTED = "the thread that committed the batch was interrupted. Nothing was stored; try again."


class Job(Generic[T]):
    """One write that waits to be committed, and its outcome."""

    __slots__ = ("_asleep", "_result", "done", "error", "function", "has_turn")

    def __init__(self, function: Callable[[Connection], T]) -> None:
        self.function = function
        self.done = False
        self.has_turn = False
        self.error: Exception | None = None
        self._result: T | None = None
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def called(self, timeout_s: float = -1) -> bool:
        """Sleep until `call`; return whether it came within *timeout_s*."""
        if not self._asleep.acquire(timeout=timeout_s):
            return False
        self._asleep.release()
        return True

    def call(self) -> None:
        """Wake the thread of this job."""
        if self._asleep.locked():
            self._asleep.release()

    def finish(self) -> None:
        """Mark the job as done and wake its thread."""
        self.done = True
        self.call()

    def run(self, connection: Connection) -> None:
        """Call the function; an error undoes only its own changes and is kept for `outcome`."""
        connection.execute("SAVEPOINT job")
        try:
            self._result = self.function(connection)
        except Exception as error:
            if not connection.in_transaction:
                raise  # SQLite has rolled the whole transaction back, for example because the disk is full
            self.error = error
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")

    def fail(self, error: Exception) -> None:
        """Mark the job as failed with *error*, unless it has an error of its own."""
        self.error = self.error or error
        self.finish()

    def outcome(self) -> T:
        """Return the result of the function or raise its error."""
        if self.error is not None:
            raise self.error
        return cast("T", self._result)


def commit_together(connection: Connection, jobs: Sequence[Job[Any]]) -> None:
    """Run *jobs* in the open transaction, commit it, and only then mark them as done.

    If the transaction as a whole fails, all of them fail. Interrupts are raised after that.
    """
    try:
        for job in jobs:
            job.run(connection)
        connection.execute("COMMIT")
    except Exception as error:  # noqa: BLE001 - the callers raise it
        _fail_all(connection, jobs, error)
    except BaseException:
        _fail_all(connection, jobs, UnavailableError(INTERRUPTED))
        raise
    for job in jobs:
        job.finish()


def _fail_all(connection: Connection, jobs: Sequence[Job[Any]], error: Exception) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    for job in jobs:
        job.fail(error)
