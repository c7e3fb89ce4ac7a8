"""Supervised threads: each does a part of a larger task, and logs and survives its failures."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

RESTART_S = 1.0


class StandardLog:
    """The log of threads that belong to no component: the logger `capa.threads`."""

    def error(self, message: str, *, thread: str, traceback: str) -> None:
        """Log *message*."""
        # Looked up at each failure: `dictConfig` disables loggers that exist before it and that it does not name.
        logging.getLogger("capa.threads").error("%s: %s\n%s", thread, message, traceback)


class LoggedThread(threading.Thread):
    """A daemon thread that runs *work* once and logs an exception that ends it, also a `SystemExit`.

    For work that somebody else repeats or gives up when it failed; other work belongs in a `SupervisedThread`.

    Args:
        log: Returns what takes `error(message, thread=…, traceback=…)`, as a logger of structlog does; called after
            an exception only.
    """

    _FAILED: ClassVar = "a thread failed"

    def __init__(
        self, name: str, work: Callable[[], object], *, log: Callable[[], Any] = StandardLog
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._log = log

    def run(self) -> None:
        """Work; called by `start`."""
        try:
            self._carry_out()
        finally:
            # As in `threading`: who keeps this object must not keep alive what the functions refer to.
            del self._work, self._log

    def _carry_out(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - `threading` passes over a `SystemExit` in silence
            self._report(error)

    def _report(self, failure: BaseException) -> None:
        try:
            self._log().error(self._FAILED, thread=self.name, traceback=as_text(failure))
        except Exception as error:  # noqa: BLE001 - a log that fails each time must not keep the work from starting
            # Nor may the hook: it writes to a standard error whose reader may have ended, and nobody else is told.
            with suppress(Exception):
                threading.excepthook(
                    threading.ExceptHookArgs((type(error), error, error.__traceback__, self))
                )


class SupervisedThread(LoggedThread):
    """A daemon thread that runs *work* until it returns; after an exception it logs the cause and runs it again.

    Only its return ends *work*, not even a `SystemExit` that the application raises in it. So it must be able to begin
    again at any point. An exception that strikes between two runs shortens the rest and ends nothing.

    Args:
        log: As for `LoggedThread`.
        stopping: Asked after an exception; if it returns true, the thread ends instead.
        longest_rest_s: It rests between two runs for this long at most.
    """

    _FAILED = "a thread failed, it starts again"

    def __init__(
        self,
        name: str,
        work: Callable[[], object],
        *,
        log: Callable[[], Any] = StandardLog,
        stopping: Callable[[], bool],
        longest_rest_s: float = float("inf"),
    ) -> None:
        super().__init__(name, work, log=log)
        self._stopping = stopping
        self._rest_s = min(RESTART_S, longest_rest_s)

    def run(self) -> None:
        """Work; called by `start`."""
        try:
            super().run()
        finally:
            del self._stopping

    def _carry_out(self) -> None:
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
        self._report(failures.pop())
        if not self._stopping():
            time.sleep(self._rest_s)


def end_forked_child(owner: int) -> None:
    """End this process unless it is *owner*: a handler has forked, and its child came back instead of exiting.

    The child lacks all other threads, and shares the parent's connections: it would hang for ever, or settle the
    parent's message. Call it where the handler has ended, in a `finally`. `sys.exit()` in the child gives its status.
    """
    if os.getpid() == owner:
        return
    error = sys.exception()
    status = error.code if isinstance(error, SystemExit) else 1
    if not isinstance(error, SystemExit):
        logging.getLogger("capa.threads").error(
            "a forked child of a handler came back from it and was ended: end it in the handler, by os._exit()",
            exc_info=error,
        )
    os._exit(status if isinstance(status, int) else int(status is not None))


def as_text(error: BaseException) -> str:
    """Return the traceback of *error*, for a log: rich, where it is installed, takes 0.1 s to draw `exc_info`."""
    return "".join(traceback.format_exception(error))
