"""Threads that do a part of a larger task, and none of which ends unnoticed."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

RESTART_S = 1.0


class SupervisedThread(threading.Thread):
    """A daemon thread that runs *work* until it returns; after an exception it logs the cause and runs it again.

    Only its return ends *work*, not even a `SystemExit` that the application raises in it. So it must be able to begin
    again at any point. An exception that strikes between two runs shortens the rest and ends nothing.

    Args:
        stopping: Asked after an exception; if it returns true, the thread ends instead.
        longest_rest_s: It rests between two runs for this long at most.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], object],
        *,
        log: Any,
        stopping: Callable[[], bool],
        longest_rest_s: float = float("inf"),
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._log = log
        self._stopping = stopping
        self._rest_s = min(RESTART_S, longest_rest_s)

    def run(self) -> None:
        """Work; called by `start`."""
        failures: list[BaseException] = []
        while True:
            try:
                if failures:
                    self._recover(failures)
                    if self._stopping():
                        return
                self._work()
            except BaseException as error:  # noqa: BLE001 - the rest of the process counts on this thread
                failures.append(error)
            else:
                return

    def _recover(self, failures: list[BaseException]) -> None:
        """Log the last of *failures*, remove it, and rest."""
        failure = failures.pop()
        try:
            self._log.error("a thread failed, it starts again", thread=self.name, traceback=as_text(failure))
        except Exception as error:  # noqa: BLE001 - a log that fails each time must not keep the work from starting
            threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, self)))
        if not self._stopping():
            time.sleep(self._rest_s)


def as_text(error: BaseException) -> str:
    """Return the traceback of *error*, for a log: rich, where it is installed, takes 0.1 s to draw `exc_info`."""
    return "".join(traceback.format_exception(error))
