"""The runs of this process: each in a thread of its own, from its claim to its end."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from capa_core.blocks.lock import Held
from capa_core.blocks.schedule._roster import Roster
from capa_core.blocks.schedule._run import Run
from capa_core.blocks.schedule._served import Ending, RunThread, Served
from capa_core.blocks.schedule.driver import Job, Outcome
from capa_core.call import telemetry
from capa_core.supervision import as_text, end_forked_child

_LONGEST_DETAIL = 500


class Runs:
    """Starts the handlers of claimed runs, and notes their ends.

    Args:
        log: Returns the logger.
    """

    def __init__(self, roster: Roster, *, clock: Callable[[], datetime], log: Callable[[], Any]) -> None:
        self._roster = roster
        self._clock = clock
        self._log = log

    def begin(self, one: Served, held: Held, job: Job) -> None:
        """Start the runs that this leader has claimed and that have not begun here.

        Raises:
            LockLostError: The lock was lost after the claim. The next leader counts the runs as lost.
        """
        for status in job.running:
            with self._roster.changed:
                is_new = status.token == held.token and status.id not in one.known()
            if is_new:
                held.check()  # a pause may have come after the claim
                self._start(one, Run(one.name, status, held))

    def _start(self, one: Served, run: Run) -> None:
        with self._roster.changed:
            one.running[run.id] = run
        try:
            RunThread(f"capa-schedule-run-{one.name}", partial(self._run, one, run), log=self._log).start()
        except RuntimeError as error:  # no thread could be started
            self._finish(one, run, Outcome.FAILED, _told(error))

    def _run(self, one: Served, run: Run) -> None:
        process = os.getpid()
        try:
            try:
                with telemetry.span(
                    "schedule run", {"capa.job": one.name, "capa.run": run.id}, kind="INTERNAL"
                ):
                    one.handler(run)
            finally:
                end_forked_child(process)
        except BaseException as error:  # noqa: BLE001 - even an exit: a run must not stay running for ever
            try:
                self._log().warning("a run failed", job=one.name, run=run.id, traceback=as_text(error))
            finally:
                self._finish(one, run, Outcome.FAILED, _told(error))
        else:
            self._finish(one, run, Outcome.REPLACED if run.id in one.replaced else Outcome.SUCCEEDED, "")

    def _finish(self, one: Served, run: Run, outcome: Outcome, detail: str) -> None:
        with self._roster.changed:
            if one.running.pop(run.id, None) is None:  # of a parent, before the fork
                return
            one.replaced.discard(run.id)
            one.endings.append(Ending(run.id, outcome, detail, self._clock()))
            self._roster.wake()


def _told(error: BaseException) -> str:
    """Return the type and the text of an error of the application, as text that every engine can store."""
    try:
        text = str(error)
    except Exception as failure:  # noqa: BLE001 - `__str__` is the application's too
        text = f"its text cannot be had: {type(failure).__name__}"
    told = f"{type(error).__name__}: {text}"[:_LONGEST_DETAIL]
    return told.encode(errors="backslashreplace").decode()  # a file name may hold bytes that are not text
