"""Jobs and runs as text and as data. Control characters of a name or an error never reach the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from capa_migration.cli.queue_view import print_line, shown
from capa_migration.rewrite.formats._columns import columns

if TYPE_CHECKING:
    from capa_core.blocks.schedule import Job, RunStatus

__all__ = ["job_data", "print_jobs", "print_line", "print_runs", "run_data", "time"]

_JOBS = ["job", "times", "next run (UTC)", "last run (UTC)", "outcome", "leader"]
_RUNS = ["run", "scheduled (UTC)", "took", "outcome", "leader", "detail"]


def print_jobs(jobs: Sequence[Job], component: str) -> None:
    """Print a table with a row for each job."""
    if not jobs:
        print(f"no jobs in component {shown(component)}: they are stored when a process that has them starts")
        return
    for line in columns(_JOBS, [_job_row(job) for job in jobs], right=False):
        print(line)


def print_runs(runs: Sequence[RunStatus]) -> None:
    """Print a table with a row for each run."""
    if not runs:
        print("no runs yet")
        return
    for line in columns(_RUNS, [_run_row(run) for run in runs], right=False):
        print(line)


def job_data(job: Job) -> dict[str, Any]:
    """Return a job as data for JSON, with times in ISO 8601."""
    data = asdict(job)
    data["spec"]["trigger"]["kind"] = type(job.spec.trigger).__name__.lower()
    return _plain(data)  # type: ignore[no-any-return]


def run_data(run: RunStatus) -> dict[str, Any]:
    """Return a run as data for JSON, with times in ISO 8601."""
    return _plain(asdict(run))  # type: ignore[no-any-return]


def time(moment: datetime | None) -> str:
    """Return a time to the second; `-` for none."""
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def _job_row(job: Job) -> list[str]:
    last = next(iter((*job.running[::-1], *job.history)), None)
    coming = "suspended" if job.suspended else time(job.next_at)
    return [
        shown(job.name),
        shown(_times(job)),
        coming,
        time(last.scheduled_at if last else None),
        str(last.outcome) if last else "-",
        shown(job.leader.rpartition("/")[0]) or "-",
    ]


def _times(job: Job) -> str:
    data = asdict(job.spec.trigger)
    if "expression" in data:
        return f"{data['expression']} {data['zone']}"
    return f"every {data['seconds']:g} s" if "seconds" in data else f"once at {time(data['moment'])}"


def _run_row(run: RunStatus) -> list[str]:
    took = "-"
    if run.started_at and run.ended_at:
        took = f"{(run.ended_at - run.started_at).total_seconds():.1f} s"
    notes = [
        *(["requested"] if run.manual else []),
        *([f"for {run.recovers}"] if run.recovers else []),
        *([f"{run.missed:,} missed before it"] if run.missed else []),
        *([run.detail] if run.detail else []),
    ]
    leader = run.leader.rpartition("/")[0] or "-"
    return [run.id, time(run.scheduled_at), took, str(run.outcome), shown(leader), shown("; ".join(notes))]


def _plain(value: Any) -> Any:
    """Return *value* with its times as text."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, datetime) else value
