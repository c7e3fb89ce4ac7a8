"""The queue of writes: threads queue their writes, and one thread at a time commits the queued ones."""

from __future__ import annotations

import threading
from collections import deque
from itertools import islice
from typing import Any

from capa_core.components.sqlite._batch import INTERRUPTED, Job
from capa_core.errors import UnavailableError


class WriteQueue:
    """The waiting writes of one process, and the turn to commit them.

    A thread that finds no commit in progress has the turn. The others sleep until their job is done, or until they get
    the turn: it passes to the one that has waited longest, and only once, so that threads whose jobs are done need not
    run, and jobs that arrive meanwhile form the next batch.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._waiting: deque[Job[Any]] = deque()
        self._batch: list[Job[Any]] = []
        self._taken = False

    def enter(self, job: Job[Any], timeout_s: float) -> bool:
        """Queue *job* and wait; return whether the caller has the turn now; if not, its job is done.

        Raises:
            TimeoutError: Neither happened in time. The job is withdrawn.
        """
        with self._mutex:
            self._waiting.append(job)
            if not self._taken:
                self._taken = job.has_turn = True
                return True
        if not job.called(timeout_s):
            if self._withdraw(job):
                raise TimeoutError
            job.called()  # it is being committed, so this wait is short
        return job.has_turn

    def take(self, most: int) -> list[Job[Any]]:
        """Return the jobs that have waited longest, up to *most*, for the caller to commit."""
        with self._mutex:
            batch, rest = list(islice(self._waiting, most)), deque(islice(self._waiting, most, None))
            self._batch, self._waiting = batch, rest  # in one statement: an interrupt must not lose a job
            return batch

    def leave(self, job: Job[Any]) -> None:
        """Pass the turn on if the caller has it; withdraw *job* if it still waits, such as after an interrupt.

        Each caller of `enter` must call it, also if `enter` raised: others may wait for the turn.
        """
        self._withdraw(job)
        with self._mutex:
            if not job.has_turn:
                return
            for other in self._batch:
                if not other.done:
                    other.fail(UnavailableError(INTERRUPTED))
            self._batch = []
            job.has_turn = False
            if self._waiting:
                self._waiting[0].has_turn = True
                self._waiting[0].call()
            else:
                self._taken = False

    def _withdraw(self, job: Job[Any]) -> bool:
        with self._mutex:
            if job not in self._waiting:
                return False
            self._waiting.remove(job)
            return True
