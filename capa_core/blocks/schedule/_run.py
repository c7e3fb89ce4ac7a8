"""One run, as its handler sees it."""

from __future__ import annotations

import threading
from datetime import datetime

from capa_core.blocks.lock import Held
from capa_core.blocks.schedule.driver import RunStatus


class Run:
    """One run of a job: the argument of its handler.

    Attributes:
        id: As in the history.
        job: The name of the job.
        scheduled_at: When it was due, or requested (UTC). The same for a run that makes up for a lost one.
        token: The fencing token of the leader. Send it with each write to a resource that must not take late ones, as
            for `Held.token`. 0 for a run by `Schedule.execute`.
        missed: The scheduled times since the run before for which no run was made.
        manual: Whether it was requested by `Schedule.trigger`.
        recovers: The id of the lost run that it makes up for; `""` for none.
        stop: Set when the handler is to end early: the lock is lost, the next run replaces this one, or the schedule is
            stopped. A long handler checks it between its steps, or waits by it.
    """

    def __init__(self, job: str, status: RunStatus, held: Held | None) -> None:
        self.id: str = status.id
        self.job = job
        self.scheduled_at: datetime = status.scheduled_at
        self.token: int = status.token
        self.missed: int = status.missed
        self.manual: bool = status.manual
        self.recovers: str = status.recovers
        self.stop = threading.Event()
        self._held = held
        if held is not None:
            held.on_lost(self._end)

    def check(self) -> None:
        """Do nothing while this process leads the job.

        Raises:
            LockLostError: It no longer does: stop, and write nothing more. The run counts as lost.
        """
        if self._held is not None:
            self._held.check()

    def _end(self, held: Held) -> None:
        del held
        self.stop.set()
