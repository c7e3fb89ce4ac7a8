"""Threads for blocking calls: started when needed, kept for a while, never waited for when the process ends."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from capa_core.errors import ExhaustedError
from capa_core.supervision import SupervisedThread

IDLE_S = 10.0
"""A thread without work ends after this long."""

Job = Callable[[], None]


class Threads:
    """Runs jobs, each on one of at most *most* threads; further jobs queue.

    Not `concurrent.futures.ThreadPoolExecutor`: the interpreter joins its threads at exit, so an abandoned
    call would delay the end of the process. These are daemon threads.
    """

    def __init__(self, name: str, most: float = float("inf")) -> None:
        self._name = name
        self._most = most
        self.forget()

    def forget(self) -> None:
        """Start without threads: a forked child has none of its parent's."""
        self._changed = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._threads = 0
        self._idle = 0

    def run(self, job: Job) -> None:
        """Run *job*, which must not raise, as soon as there is a thread for it.

        Raises:
            ExhaustedError: The system starts no more threads. The job is not run.
        """
        with self._changed:
            if len(self._jobs) >= self._idle and self._threads < self._most:
                self._start()
            self._jobs.append(job)
            self._changed.notify()

    def _start(self) -> None:
        thread = SupervisedThread(f"{self._name}-{self._threads}", self._work, stopping=lambda: False)
        try:
            thread.start()
        except RuntimeError as error:
            raise ExhaustedError(
                f"no thread for another call after {self._threads} ({error}). Make fewer calls at once."
            ) from error
        self._threads += 1

    def _work(self) -> None:
        while job := self._next():
            job()
            del job  # it holds the result of the call

    def _next(self) -> Job | None:
        with self._changed:
            self._idle += 1
            try:
                self._changed.wait_for(lambda: self._jobs, IDLE_S)
            finally:
                self._idle -= 1
            if self._jobs:
                return self._jobs.popleft()
            self._threads -= 1
            return None
