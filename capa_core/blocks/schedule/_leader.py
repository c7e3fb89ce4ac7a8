"""The leader of the jobs of this process: one thread that acquires their locks, begins their runs, and stores the ends.

    read all jobs ─▶ store ends ─▶ lead what has work ─▶ claim what is due ─▶ a thread for each run

A run is claimed before it begins, by compare-and-set of its job's value. A leader that was paused past its lease finds
the value changed by the next one, and begins nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from capa_core.blocks.lock import Locks
from capa_core.blocks.schedule._failures import Failures
from capa_core.blocks.schedule._job_leader import JobLeader
from capa_core.blocks.schedule._roster import Roster
from capa_core.blocks.schedule._served import Handler, RunThread, Served
from capa_core.blocks.schedule._store import JobStore
from capa_core.blocks.schedule.driver import Job
from capa_core.call import telemetry
from capa_core.errors import CapaError, DataLossError
from capa_core.supervision import SupervisedThread

_TICK_S = 1.0
"""The longest rest between two rounds: so soon a request, a change by another process, or a dead leader is seen."""
_TICKS_IN_LEASE = 4


class Leader:
    """Leads jobs from `start` to `stop`. Safe for many threads."""

    def __init__(
        self, name: str, store: JobStore, locks: Locks, *, lease_s: float, clock: Callable[[], datetime]
    ) -> None:
        self._name = name
        self._store = store
        self._clock = clock
        self._tick_s = min(_TICK_S, lease_s / _TICKS_IN_LEASE)
        self._roster = Roster()
        self._of_a_job = JobLeader(self._roster, store, locks, lease_s=lease_s, clock=clock, log=self._log)
        self._failures = Failures(self._log)
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._round_lock = threading.Lock()
        self._is_leaving_runs = False

    # --- called by the application

    def add(self, one: Served) -> bool:
        """Serve a job from now on; return false if there is one of its name."""
        return self._roster.add(one)

    def handler(self, name: str) -> Handler | None:
        """Return the handler of a job; `None` if there is none."""
        one = self._roster.get(name)
        return None if one is None else one.handler

    def leave(self, one: Served, drain: bool, timeout_s: float | None) -> None:
        """Serve a job no longer, and wait for the ends of its runs if *drain*."""
        with self._roster.changed:
            if not self._roster.begin_to_leave(one):
                return
            if self._thread is None:
                self._roster.remove(one)
            elif drain:
                self._roster.wait_until_removed(one, timeout_s)

    def drop(self, name: str, remove: Callable[[], bool]) -> bool:
        """Serve a job no longer, call *remove* while no round would store the job again, and return its result."""
        with self._round_lock:
            one = self._roster.get(name)
            if one is not None:
                self._roster.begin_to_leave(one)
            removed = remove()
            if one is not None:
                self._of_a_job.leave_if_done(one)
            return removed

    def start(self) -> None:
        """Begin to lead; do nothing if it has begun."""
        with self._roster.changed:
            if self._thread is not None or self._roster.is_stopping:
                return
            name = f"capa-schedule-leader-{self._name}"
            thread = SupervisedThread(name, self._lead, log=self._log, stopping=self._ended.is_set)
            self._thread = thread  # first: `join` must wait for it also if a signal ends the start
            try:
                thread.start()
            except RuntimeError:  # no thread could be started
                self._thread = None
                raise

    def stop(self) -> None:
        """Begin no more runs, and tell those that run."""
        self._roster.stop()

    def join(self, timeout_s: float | None) -> bool:
        """Wait for the end of the leader and of all runs, and return whether it came; at once if called by a run."""
        if self._thread is None or isinstance(threading.current_thread(), RunThread):
            return True
        return self._ended.wait(timeout_s)  # a `Thread.join` that a signal interrupts marks it as ended

    def leave_runs(self) -> None:
        """End without waiting for the runs: the next leader counts them as lost."""
        self._is_leaving_runs = True
        self.wake()

    def wake(self) -> None:
        """Look at the jobs now."""
        self._roster.wake()

    def forget(self) -> None:
        """In a forked child: keep the handlers, and leave locks and runs to the parent."""
        self._begin_anew()
        self._roster.begin_anew()

    # --- the thread

    def _lead(self) -> None:
        try:
            self._lead_until_over()
        finally:
            if self._is_over():
                self._ended.set()

    def _lead_until_over(self) -> None:
        while not self._is_over():
            with self._round_lock:
                rest_s = self._round()
            self._roster.rest(rest_s)
        for one in self._roster.clear():
            if not self._of_a_job.release(one):
                return  # the engine does not answer: do not wait for it once more for each job

    def _is_over(self) -> bool:
        return self._roster.is_stopping and (self._is_leaving_runs or self._roster.all_are_done())

    def _round(self) -> float:
        """Do for each job what is to be done now, and return the seconds until the next look."""
        served = [one for one in self._roster.all() if not self._of_a_job.leave_if_done(one)]
        jobs = self._read([one.name for one in served])
        for one in served:
            try:
                if one.name in jobs:
                    self._of_a_job.attend(one, jobs[one.name])
            except Exception as error:  # noqa: BLE001 - one job must not keep the others from being led
                self._failures.of_job(one.name, error)
        self._failures.end_round()
        return self._rest_s(served)

    def _read(self, names: list[str]) -> dict[str, Job | None]:
        try:
            return dict(zip(names, self._store.read(names), strict=True))
        except DataLossError:
            return self._read_apart(names)
        except CapaError as error:
            self._failures.of_engine(error)
            return {}

    def _read_apart(self, names: list[str]) -> dict[str, Job | None]:
        """Return those of the jobs that can be read."""
        found: dict[str, Job | None] = {}
        for name in names:
            try:
                (found[name],) = self._store.read([name])
            except CapaError as error:
                self._failures.of_job(name, error)
        return found

    def _rest_s(self, served: list[Served]) -> float:
        now = self._clock()
        led = [one.next_at for one in served if one.held is not None and one.next_at is not None]
        coming = [(at - now).total_seconds() for at in led if at > now]
        return min([self._tick_s, *coming])

    def _log(self) -> Any:
        return telemetry.logger("schedule", self._name)
