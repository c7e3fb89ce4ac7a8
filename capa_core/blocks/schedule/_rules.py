"""The rules of a job as functions of its stored value: each returns the next value, or the same one if nothing changes.

They know neither clocks nor engines. Each may be applied again to a value that has it already, so that a write whose
answer was lost can be repeated.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from capa_core.blocks.schedule._times import due, first_of, next_after
from capa_core.blocks.schedule.driver import Every, Job, JobSpec, Outcome, Request, RunStatus, Trigger
from capa_core.errors import LockLostError

MOST_RUNNING = 100
"""Runs of one job at a time, whatever its concurrency."""
_MOST_COUNTED = 1_000
"""Times of one outage that are counted and that can be made up for."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a leader at a job: the owner and the token of its lock, and the time."""

    leader: str
    token: int
    now: datetime

    def run(self, scheduled_at: datetime, **fields: Any) -> RunStatus:
        """Return a new run that begins now."""
        made = RunStatus(
            id=new_id(), scheduled_at=scheduled_at, started_at=self.now, leader=self.leader, token=self.token
        )
        return replace(made, **fields)

    def left_out(self, run: RunStatus, outcome: Outcome, detail: str) -> RunStatus:
        """Return *run* as one that did not begin."""
        return replace(run, outcome=outcome, detail=detail, started_at=None, ended_at=self.now)

    def check(self, job: Job) -> None:
        """Do nothing if no later leader has written to *job*.

        Raises:
            LockLostError: One has.
        """
        if job.token > self.token:
            raise LockLostError(
                f"job {job.name!r} is led by {job.leader}, with a later token than this process has"
            )


def new_id() -> str:
    """Return an id for a run."""
    return uuid.uuid4().hex[:12]


def declared(job: Job | None, name: str, spec: JobSpec, now: datetime, *, again: bool = False) -> Job:
    """Return the job with the definition *spec*; the next run is kept unless its times have changed.

    Args:
        again: Whether the job was stored before and got lost. A single time that is past has run then.
    """
    if job is None:
        first = next_after(spec.trigger, now) if again else first_of(spec.trigger, now)
        return Job(name=name, spec=spec, next_at=first)
    if _same_interval(job.spec, spec):
        spec = replace(spec, trigger=job.spec.trigger)
    if spec == job.spec:
        return job
    if spec.trigger == job.spec.trigger:
        return replace(job, spec=spec)
    return replace(job, spec=spec, next_at=_first_not_settled(job, spec.trigger, now))


def suspended(job: Job) -> Job:
    """Return the job without scheduled runs."""
    return job if job.suspended else replace(job, suspended=True)


def resumed(job: Job, now: datetime) -> Job:
    """Return the job with its next run after *now*; a single time that has not run yet is kept."""
    coming = None if job.next_at is None else _first_not_settled(job, job.spec.trigger, now)
    return replace(job, suspended=False, next_at=coming)


def requested(job: Job, request: Request) -> Job:
    """Return the job with one more run that a leader is to begin."""
    known = {one.id for one in job.requested} | {run.id for run in (*job.running, *job.history)}
    return job if request.id in known else replace(job, requested=(*job.requested, request))


def has_work(job: Job, now: datetime) -> bool:
    """Return whether a leader would do anything: begin a run, or look after one whose leader may be dead."""
    return bool(job.running or job.requested or is_due(job, now))


def is_due(job: Job, now: datetime) -> bool:
    """Return whether a scheduled time has come."""
    return not job.suspended and job.next_at is not None and job.next_at <= now


def taken_over(job: Job, turn: Turn, alive: Collection[str]) -> Job:
    """Return the job under a new leader: runs that are not *alive* in its process are lost, or recovered.

    A job is suspended because its runs do harm, such as to their process: none begins again then.
    """
    turn.check(job)
    if job.token == turn.token:
        return job
    lost = [run for run in job.running if run.id not in alive]
    job = replace(job, leader=turn.leader, token=turn.token)
    for run in lost:
        job = ended(job, run.id, Outcome.LOST, f"its leader {run.leader} was lost", turn.now)
        is_first = not run.recovers  # once: it may be the run itself that kills its process
        if job.spec.recover and is_first and not job.suspended:
            again = turn.run(run.scheduled_at, manual=run.manual, recovers=run.id)
            job = replace(job, running=(*job.running, again))
    return job


def ended(job: Job, ident: str, outcome: Outcome, detail: str, now: datetime) -> Job:
    """Return the job after the end of one of its runs; unchanged if that is not running, as after its loss."""
    found = next((run for run in job.running if run.id == ident), None)
    if found is None:
        return job
    job = replace(job, running=tuple(run for run in job.running if run is not found))
    return _remembered(job, replace(found, outcome=outcome, detail=detail, ended_at=now))


def claimed(job: Job, turn: Turn) -> Job:
    """Return the job with all runs begun or left out that are requested or due now, as its rules say.

    It leaves them for later where one is running that has to make way first, or that is followed by runs to be made up
    for.
    """
    turn.check(job)
    for request in job.requested:
        if _waits(job):
            return job
        job = replace(job, requested=tuple(one for one in job.requested if one is not request))
        job = _begun(job, turn, [turn.run(request.at, id=request.id, manual=True)])
    if is_due(job, turn.now) and not _waits(job):
        job = _begun_when_due(job, turn)
    return job


def must_stop(job: Job, now: datetime) -> bool:
    """Return whether the runs that are running are to make way for the next one."""
    return job.spec.concurrency == "replace" and bool(job.requested or is_due(job, now))


def _begun_when_due(job: Job, turn: Turn) -> Job:
    spec = job.spec
    assert job.next_at is not None  # noqa: S101 - it is due
    times = due(spec.trigger, job.next_at, turn.now, _MOST_COUNTED)
    chosen = _chosen(spec, times, turn.now)
    if spec.misfire == "all" and spec.concurrency == "forbid":
        chosen, later = chosen[:1], chosen[1:]
    else:
        later = []
    job = replace(job, next_at=later[0] if later else next_after(spec.trigger, times[-1]))
    if not chosen:
        why = f"it could not begin within {spec.misfire_grace_s:g} s"
        run = turn.run(times[-1], missed=len(times) - 1)
        return _remembered(job, turn.left_out(run, Outcome.MISSED, why))
    missed = len(times) - len(chosen) - len(later)
    return _begun(
        job, turn, [turn.run(at, missed=0 if number else missed) for number, at in enumerate(chosen)]
    )


def _chosen(spec: JobSpec, times: Sequence[datetime], now: datetime) -> list[datetime]:
    """Return those of the due *times* for which a run is made."""
    if spec.misfire == "all":
        return list(times[-spec.misfire_limit :])
    is_late = (now - times[-1]).total_seconds() > spec.misfire_grace_s
    return [] if spec.misfire == "skip" and is_late else [times[-1]]


def _begun(job: Job, turn: Turn, runs: Sequence[RunStatus]) -> Job:
    """Return the job with *runs* running, or skipped where one is running and must stay alone."""
    for run in runs:
        if job.running and job.spec.concurrency == "forbid":
            why = f"run {job.running[-1].id} was still running"
        elif len(job.running) >= MOST_RUNNING:
            why = f"{MOST_RUNNING} runs were still running"
        else:
            job = replace(job, running=(*job.running, run))
            continue
        job = _remembered(job, turn.left_out(run, Outcome.SKIPPED, why))
    return job


def _waits(job: Job) -> bool:
    spec = job.spec
    waits = spec.concurrency == "replace" or (spec.concurrency == "forbid" and spec.misfire == "all")
    return bool(job.running) and waits


def _remembered(job: Job, run: RunStatus) -> Job:
    return replace(job, history=(run, *job.history)[: job.spec.history_limit])


def _same_interval(old: JobSpec, new: JobSpec) -> bool:
    """Return whether only the beginning differs: that of the first declaration counts, not of each new process."""
    return (
        isinstance(old.trigger, Every)
        and isinstance(new.trigger, Every)
        and old.trigger.seconds == new.trigger.seconds
    )


def _first_not_settled(job: Job, trigger: Trigger, now: datetime) -> datetime | None:
    """Return the first time from *now* on that has no run in the history yet, whatever became of that.

    *now* may be before the last run: on a slower clock, in a write that is repeated, or of a single time that an older
    process declares again.
    """
    settled = {run.scheduled_at for run in (*job.running, *job.history) if not run.manual}
    moment = first_of(trigger, now)
    while moment in settled:
        moment = next_after(trigger, moment)
    return moment
