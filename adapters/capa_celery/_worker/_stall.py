"""Release jobs that wait behind long tasks, and reject those that are with nobody, so that they are run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from capa_celery._threads import WorkerThread
from capa_celery._worker._jobs import Job, Jobs, Window
from capa_celery._worker._outcomes import AGAIN
from capa_celery._worker._pool import Pool, logger

LOOK_S = 0.5
STALLED_S = 1.0


class StallWatch(WorkerThread):
    """Releases waiting jobs when all slots have been busy for long, and finds those that a failed thread left.

    Args:
        take_back: Returns the jobs that were not begun, so that none of them will be.
    """

    def __init__(self, pool: Pool, jobs: Jobs, window: Window, take_back: Callable[[], list[Job]]) -> None:
        self._stopped = threading.Event()
        super().__init__("capa-stall-watch", self._watch, stopping=self._stopped.is_set)
        self._pool = pool
        self._jobs = jobs
        self._window = window
        self._take_back = take_back

    def _watch(self) -> None:
        while not self._stopped.wait(LOOK_S):
            since = self._pool.busy_since()
            if since is not None and time.monotonic() - since > STALLED_S:
                self._window.slow_down()
                self._jobs.release(self._take_back())
            if missing := self._pool.missing():
                logger.error("%d tasks are with no thread of the worker: they run again", len(missing))
                self._jobs.settle([(job, AGAIN) for job in missing])

    def stop(self) -> None:
        """End the watch."""
        self._stopped.set()
        if self.is_alive():
            self.join()
