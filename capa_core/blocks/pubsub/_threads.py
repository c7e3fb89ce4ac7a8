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
    again at any point.

    Args:
        stopping: Asked after an exception; if it returns true, the thread ends instead.
    """

    def __init__(
        self, name: str, work: Callable[[], object], *, log: Any, stopping: Callable[[], bool]
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._log = log
        self._stopping = stopping

    def run(self) -> None:
        """Work; called by `start`."""
        while True:
            try:
                self._work()
            except BaseException as error:  # noqa: BLE001 - the rest counts on this thread
                self._log.error(
                    "a thread failed, it starts again", thread=self.name, traceback=as_text(error)
                )
            else:
                return
            if self._stopping():
                return
            time.sleep(RESTART_S)


def as_text(error: BaseException) -> str:
    """Return the traceback of *error*, for a log: rich, where it is installed, takes 0.1 s to draw `exc_info`."""
    return "".join(traceback.format_exception(error))
