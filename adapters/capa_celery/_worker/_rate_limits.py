"""Rate limits of tasks: a worker begins no more of a task than its `rate_limit` allows, and serves others meanwhile."""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from celery.utils.time import rate as parsed_rate
from kombu.utils.limits import TokenBucket

from capa_celery._threads import WorkerThread
from capa_celery._worker._jobs import Job
from capa_core.call.loggers import named_logger
from capa_core.errors import InvalidArgumentError

logger = named_logger("celery.capa.worker")

HELD_S = 10.0
"""Seconds for which the tasks suffice that wait in this worker; the others wait in the engine, for all workers."""
FEWEST_HELD, MOST_HELD = 2, 10_000
LONGEST_PUT_OFF_S = 60.0
"""Seconds in the engine, after which a limit that was raised meanwhile is noticed."""
MOST_PUT_OFF_PER_S = 50.0
"""Of a long line so many come again in a second, and the others later: each coming costs the engine a write."""
LOOK_S = 0.5


class RateLimits(WorkerThread):
    """Holds the jobs of tasks with a rate limit, and starts them as the token buckets of these tasks allow.

    A job that waits here is leased and does not count for the limit of received jobs. Those that would wait for long go
    back to the engine for a while, so that a line of any length blocks neither other tasks nor other workers.

    Args:
        tasks: The tasks of the application, by name; empty to limit none.
        name_of: Returns the name of the task that a job is to run now; `None` if it will not run.
        start: Hands a job to the pool.
        free: Returns whether the pool has room for a job.

    Raises:
        InvalidArgumentError: A rate limit of a task is no rate.
    """

    def __init__(
        self,
        tasks: Mapping[str, Any],
        name_of: Callable[[Job], str | None],
        start: Callable[[Job], object],
        free: Callable[[], bool],
    ) -> None:
        self._stopped = threading.Event()
        self._woken = threading.Event()
        super().__init__("capa-rate-limits", self._serve, stopping=self._stopped.is_set)
        self._tasks = tasks
        self._name_of = name_of
        self._start_job = start
        self._free = free
        self._changing = threading.RLock()  # again in `start`, which may settle a job instead
        self._held = 0
        self._lines: dict[str, _Line] = {}
        self._known: frozenset[str] = frozenset()
        self.reset()

    def __len__(self) -> int:
        """Return how many jobs wait here."""
        return self._held

    def reset(self) -> list[Job]:
        """Apply the limits as the tasks have them now, and return the jobs that waited, to be admitted anew.

        Raises:
            InvalidArgumentError: As at the making. The limits are the earlier ones.
        """
        with self._changing:
            rates = {name: rate_of(task) for name, task in self._tasks.items()}
            jobs = self.take_back()
            self._lines = {name: _Line(rate) for name, rate in rates.items() if rate}
            self._known = frozenset(rates)
            return jobs

    def admit(self, jobs: list[Job]) -> tuple[list[Job], dict[float, list[Job]]]:
        """Take jobs that came; return those to start now, and those to send back to the engine, by seconds."""
        if len(self._tasks) != len(self._known):
            self._limit_new_tasks()
        if not self._lines:
            return jobs, {}
        now: list[Job] = []
        later: dict[float, list[Job]] = {}
        with self._changing:
            for job in jobs:
                line = self._lines.get(self._name_of(job) or "")
                if line is None or (not line.jobs and self._free() and line.bucket.can_consume()):
                    now.append(job)
                elif wait_s := line.join(job):
                    later.setdefault(wait_s, []).append(job)
                else:
                    self._held += 1
        self.wake()
        return now, later

    def take_back(self, which: Callable[[Job], bool] = lambda _job: True) -> list[Job]:
        """Return the jobs that wait here, or those that *which* names; none of them will be started."""
        with self._changing:
            jobs = [job for line in self._lines.values() for job in line.leave(which)]
            self._held -= len(jobs)
            return jobs

    def wake(self) -> None:
        """Have it looked for jobs that may start now, as after another has ended. Never waits."""
        if self._held:
            self._woken.set()

    def stop(self) -> None:
        """Start no more jobs than one; `join` waits for it."""
        self._stopped.set()
        self._woken.set()

    def _serve(self) -> None:
        while not self._stopped.is_set():
            wait_s = self.start_due()
            self._woken.wait(wait_s)
            self._woken.clear()

    def start_due(self) -> float | None:
        """Start the jobs whose turn has come; return the seconds until the next one's, `None` while none waits."""
        with self._changing:
            waits = [self._start_of(line) for line in self._lines.values() if line.jobs]
            return min(waits, default=None)

    def _start_of(self, line: _Line) -> float:
        while line.jobs and not self._stopped.is_set():
            if not self._free():
                return LOOK_S
            if not line.jobs[0].put and not line.bucket.can_consume():
                return float(line.bucket.expected_time())
            self._start_first(line)
        return LOOK_S

    def _start_first(self, line: _Line) -> None:
        # It leaves the line last: an exception that ends this thread leaves it either here or with the pool.
        job = line.jobs[0]
        if not job.put:
            self._start_job(job)
        line.jobs.popleft()
        self._held -= 1

    def _limit_new_tasks(self) -> None:
        with self._changing:
            for name in self._tasks.keys() - self._known:
                try:
                    rate = rate_of(self._tasks[name])
                except InvalidArgumentError as error:
                    logger.error("%s Until then the task runs without a limit.", error)  # noqa: TRY400
                    continue
                if rate:
                    self._lines[name] = _Line(rate)
            self._known = frozenset(self._tasks)


class _Line:
    """The jobs of one task that wait, and its token bucket. To be locked by its user."""

    def __init__(self, rate: float) -> None:
        self.bucket = TokenBucket(rate, capacity=1)
        self.jobs: deque[Job] = deque()
        self._rate = rate
        self._most = round(min(MOST_HELD, max(FEWEST_HELD, rate * HELD_S)))
        self._put_off: list[float] = []

    def join(self, job: Job) -> float:
        """Add a job and return 0, or return the seconds for which it is to wait in the engine."""
        if len(self.jobs) < self._most:
            self.jobs.append(job)
            return 0.0
        now = time.monotonic()
        while self._put_off and self._put_off[0] <= now:
            heapq.heappop(self._put_off)
        turn_s = (len(self.jobs) + len(self._put_off)) / self._rate
        # It comes while there are still some here, so that no turn is left out.
        wait_s = min(turn_s - HELD_S / 2, max(LONGEST_PUT_OFF_S, len(self._put_off) / MOST_PUT_OFF_PER_S))
        wait_s = float(max(1, math.floor(wait_s)))
        heapq.heappush(self._put_off, now + wait_s)
        return wait_s

    def leave(self, which: Callable[[Job], bool]) -> list[Job]:
        """Remove the jobs that *which* names, and return them."""
        jobs = [job for job in self.jobs if which(job)]
        gone = set(jobs)
        self.jobs = deque(job for job in self.jobs if job not in gone)
        return jobs


def rate_of(task: Any) -> float:
    """Return how many of *task* may begin in a second; 0 for no limit.

    Raises:
        InvalidArgumentError: Its `rate_limit` is no rate.
    """
    limit = getattr(task, "rate_limit", None)
    try:
        rate = float(parsed_rate(limit))
    except (ValueError, KeyError, TypeError):
        rate = math.nan
    if math.isfinite(rate) and rate >= 0:
        return rate
    raise InvalidArgumentError(
        f"task {task.name!r}: its rate_limit {limit!r} is no rate. Set it to a number of tasks in a second, or a text "
        "such as '10/s', '5/m' or '2/h'."
    )
