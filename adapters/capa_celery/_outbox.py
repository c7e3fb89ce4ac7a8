"""Batches of results in a worker: stored together, and then reported as done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from capa_core import State

T = TypeVar("T")

MAX_BATCH = 100
"""The largest number of finished tasks that are gathered before their results are stored."""


class Outbox(Generic[T]):
    """Gathers the results of finished tasks, stores them in one request, and only then reports the tasks as done.

    A task is reported, and so acknowledged, after its result is stored: a crash in between runs it again.
    Safe for many threads.

    Args:
        store: Returns the store of results; called for each request, since it may change across a fork.
        report: Called with the finished tasks whose results are stored; with the same again if it raised.
    """

    def __init__(self, store: Callable[[], State], report: Callable[[list[T]], None]) -> None:
        self._store = store
        self._report = report
        self._lock = threading.Lock()
        self._trip = threading.RLock()  # a handler of a signal may flush while the thread below it does
        self._values: dict[str, tuple[bytes, float | None]] = {}
        self._leaving: dict[str, tuple[bytes, float | None]] = {}
        self._done: list[T] = []
        self._reporting: list[T] = []

    def put(self, key: str, value: bytes, ttl: float | None) -> None:
        """Keep one result for the next request."""
        with self._lock:
            self._values[key] = (value, ttl)

    def pending(self, key: str) -> bytes | None:
        """Return the result that is on its way to *key*, if there is one."""
        found = self._values.get(key) or self._leaving.get(key)
        return found[0] if found else None

    def done(self, task: T) -> bool:
        """Take a finished task to report with the next request; return whether that should be sent now."""
        with self._lock:
            self._done.append(task)
            return len(self._done) >= MAX_BATCH

    @property
    def unreported(self) -> list[T]:
        """The finished tasks that are not reported yet."""
        with self._lock:
            return [*self._reporting, *self._done]

    def __bool__(self) -> bool:
        return bool(self._done or self._values)

    def send(self) -> None:
        """Store the gathered results and report none, for a task that is about to wait, such as for its own result.

        Raises:
            UnavailableError: The store did not answer. All is kept for the next request.
        """
        with self._trip:
            self._store_gathered()

    def flush(self) -> None:
        """Store the gathered results, then report the tasks; wait for a request that is under way.

        Raises:
            UnavailableError: The store did not answer. All is kept for the next request, and no task was reported.
        """
        with self._trip:
            if not self:
                return
            with self._lock:
                self._reporting, self._done = self._done, []
            try:
                self._store_gathered()
                if self._reporting:
                    self._report(self._reporting)
            except BaseException:
                with self._lock:
                    self._done = self._reporting + self._done
                raise
            finally:
                self._reporting = []

    def _store_gathered(self) -> None:
        with self._lock:
            self._leaving, self._values = self._values, {}
        try:
            if self._leaving:
                self._write(self._leaving)
        except BaseException:
            with self._lock:
                self._values = {**self._leaving, **self._values}
                self._leaving = {}
            raise
        self._leaving = {}

    def _write(self, values: dict[str, tuple[bytes, float | None]]) -> None:
        if len(values) == 1:  # an idle worker's: a caller may be waiting, and this takes less time
            ((key, (value, ttl)),) = values.items()
            self._store().put(key, value, ttl=ttl, notify=True)
            return
        for ttl in {ttl for _, ttl in values.values()}:
            self._store().put_many(
                {key: value for key, (value, kept) in values.items() if kept == ttl}, ttl=ttl, notify=True
            )
