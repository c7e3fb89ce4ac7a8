"""The leader of one job after the other: declaration, ends of runs, lock, claims."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import reduce
from typing import Any

from capa_core.blocks.lock import Held, Locks
from capa_core.blocks.schedule import _rules
from capa_core.blocks.schedule._roster import Roster
from capa_core.blocks.schedule._rules import Turn
from capa_core.blocks.schedule._runs import Runs
from capa_core.blocks.schedule._served import Ending, Served
from capa_core.blocks.schedule._store import JobStore
from capa_core.blocks.schedule.driver import Job
from capa_core.errors import CapaError, LockLostError


class JobLeader:
    """Does for a job what is to be done now. For one thread at a time.

    Args:
        log: Returns the logger.
    """

    def __init__(
        self,
        roster: Roster,
        store: JobStore,
        locks: Locks,
        *,
        lease_s: float,
        clock: Callable[[], datetime],
        log: Callable[[], Any],
    ) -> None:
        self._roster = roster
        self._store = store
        self._locks = locks
        self._lease_s = lease_s
        self._clock = clock
        self._log = log
        self._runs = Runs(roster, clock=clock, log=log)

    def attend(self, one: Served, job: Job | None) -> None:
        """Store what is new of a job, which is stored as *job*, and begin the runs that are due if it is led here."""
        try:
            self._attend(one, job)
        except LockLostError as error:
            self._lose(one, str(error))

    def leave_if_done(self, one: Served) -> bool:
        """Serve no longer a job that is to be left, once nothing of it is left to do; return whether it is left now."""
        with self._roster.changed:
            leaves = one.is_leaving and one.is_done()
        if leaves:
            self.release(one)
            self._roster.remove(one)
        return leaves

    def release(self, one: Served) -> bool:
        """Free the lock of a job, and return whether that went well."""
        held, one.held = one.held, None
        if held is None or one.running:  # the lock of runs that are left running ends with its lease
            return True
        return self._free(held)

    def _attend(self, one: Served, job: Job | None) -> None:
        if job is None and one.is_leaving:
            with self._roster.changed:
                one.endings.clear()  # it was removed
            self.leave_if_done(one)
            return
        if job is None or not (one.is_declared or one.is_leaving):
            job = self._declare(one)
        job = self._store_endings(one, job)
        if one.is_leaving or self._roster.is_stopping:
            self.leave_if_done(one)
            return
        one.next_at = job.next_at if not job.suspended else None
        if held := self._acquired(one, job):
            self._serve(one, held, job)

    def _declare(self, one: Served) -> Job:
        if one.is_declared:
            self._log().warning(
                "the engine has lost a job, or somebody removed it; it is stored again", job=one.name
            )
        now, again = self._clock(), one.is_declared
        job = self._store.make(
            one.name, lambda job: _rules.declared(job, one.name, one.spec, now, again=again)
        )
        one.is_declared = True
        return job

    def _store_endings(self, one: Served, job: Job) -> Job:
        with self._roster.changed:
            endings = list(one.endings)
        if not endings:
            return job
        for ending in endings:
            if all(run.id != ending.id for run in job.running):
                self._log().warning(
                    "a run ended after its leader was replaced; it counts as lost",
                    job=one.name,
                    run=ending.id,
                    outcome=str(ending.outcome),
                )
        job = self._store.change(one.name, lambda job: reduce(_ended, endings, job))
        with self._roster.changed:
            one.endings = one.endings[len(endings) :]
        return job

    def _acquired(self, one: Served, job: Job) -> Held | None:
        """Return the lock of the job if this process has it, or can have it and there is a reason to."""
        if one.held is not None and one.held.lost.is_set():
            self._lose(one, "its lock was lost")
        if one.held is None and (not one.is_tried or _rules.has_work(job, self._clock())):
            one.held = self._locks.lock(one.name, lease=self._lease_s).try_acquire()
            one.is_tried = True
        return one.held

    def _serve(self, one: Served, held: Held, job: Job) -> None:
        """Take the job over if that was not done yet, and begin the runs that are due."""
        turn = Turn(held.owner, held.token, self._clock())
        if job.token != turn.token:
            known = one.known()
            job = self._store.change(one.name, lambda job: _rules.taken_over(job, turn, known))
            self._runs.begin(one, held, job)
        if _rules.must_stop(job, turn.now):
            with self._roster.changed:
                one.make_way()
        if _rules.claimed(job, turn) is not job:
            job = self._store.change(one.name, lambda job: _rules.claimed(job, turn))
        one.next_at = job.next_at if not job.suspended else None
        self._runs.begin(one, held, job)

    def _lose(self, one: Served, reason: str) -> None:
        self._log().warning("this process leads a job no longer", job=one.name, reason=reason)
        held, one.held = one.held, None
        if held is not None:
            self._free(held)

    def _free(self, held: Held) -> bool:
        if held.lost.is_set():  # nothing is left to free, as after a `close` by a handler
            return True
        try:
            held.release()
        except CapaError as error:
            self._log().info("a job's lock was not released, it ends with its lease", error=str(error))
            return False
        return True


def _ended(job: Job, ending: Ending) -> Job:
    return _rules.ended(job, ending.id, ending.outcome, ending.detail, ending.at)
