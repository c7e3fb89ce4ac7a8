"""Jobs of a schedule as CronJobs of Kubernetes (batch/v1), where a CronJob can keep their promises."""

from __future__ import annotations

import math
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from capa_core.blocks.schedule import Cron, Every, Job

_LONGEST_NAME = 52
"""Kubernetes appends 11 characters for each run, and its names have 63."""
_SHORTEST_DEADLINE_S = 10
"""Kubernetes looks for due jobs each 10 s: one with a shorter deadline may never start."""
_PLACE = "{job}"
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400


@dataclass(frozen=True, slots=True)
class Container:
    """The container of all jobs.

    Attributes:
        command: The words of its command, in which `{job}` stands for the name of the job; empty for the entry point of
            the image, which gets the name as its argument.
        namespace: That of the CronJobs; `""` for the one in which they are applied.
    """

    image: str
    command: Sequence[str] = ()
    namespace: str = ""


@dataclass(slots=True)
class Exported:
    """CronJobs, and the reason for each job that cannot be one."""

    manifests: list[dict[str, Any]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def words_of(command: str) -> list[str]:
    """Return the words of a command line.

    Raises:
        ValueError: A quotation has no end.
    """
    return shlex.split(command)


def export(jobs: Iterable[Job], container: Container) -> Exported:
    """Return the CronJobs of *jobs*, by name."""
    exported = Exported()
    ordered = sorted(jobs, key=lambda job: job.name)
    taken = Counter(_name(job.name) for job in ordered)
    for job in ordered:
        if taken[_name(job.name)] > 1:
            exported.refused[job.name] = f"another job would be called {_name(job.name)!r} in Kubernetes too"
            continue
        try:
            exported.manifests.append(_cronjob(job, container))
        except _Refusal as refusal:
            exported.refused[job.name] = str(refusal)
    return exported


class _Refusal(Exception):  # noqa: N818 - the reason for a job, which the caller gets as text
    pass


def _cronjob(job: Job, container: Container) -> dict[str, Any]:
    name = _name(job.name)
    if not name:
        raise _Refusal("its name has no letter or digit of ASCII, and those of Kubernetes have nothing else")
    metadata: dict[str, Any] = {
        "name": name,
        "labels": {"app.kubernetes.io/managed-by": "capa"},
        "annotations": {"capa-job": job.name},
    }
    if container.namespace:
        metadata["namespace"] = container.namespace
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": metadata,
        "spec": _spec(job, container, name),
    }


def _spec(job: Job, container: Container, name: str) -> dict[str, Any]:
    schedule, zone = _schedule(job)
    spec: dict[str, Any] = {
        "schedule": schedule,
        "timeZone": zone,
        "concurrencyPolicy": job.spec.concurrency.capitalize(),
        "suspend": job.suspended,
        "successfulJobsHistoryLimit": job.spec.history_limit,
        "failedJobsHistoryLimit": job.spec.history_limit,
    }
    if job.spec.misfire == "all":
        raise _Refusal("misfire='all' makes up for each missed run, and a CronJob for the last one at most")
    if job.spec.misfire == "skip":
        spec["startingDeadlineSeconds"] = max(_SHORTEST_DEADLINE_S, math.ceil(job.spec.misfire_grace_s))
    spec["jobTemplate"] = {"spec": _run(job, container, name)}
    return spec


def _run(job: Job, container: Container, name: str) -> dict[str, Any]:
    one: dict[str, Any] = {"name": name, "image": container.image}
    if container.command:
        one["command"] = [word.replace(_PLACE, job.name) for word in container.command]
    else:
        one["args"] = [job.name]
    spec: dict[str, Any] = {
        "backoffLimit": 0,
        "template": {"spec": {"restartPolicy": "Never", "containers": [one]}},
    }
    if (
        job.spec.recover
    ):  # a pod that was lost runs again, and one whose handler failed (exit code 1) does not
        spec["backoffLimit"] = 1
        failed = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}}
        spec["podFailurePolicy"] = {"rules": [failed]}
    return spec


def _schedule(job: Job) -> tuple[str, str]:
    """Return the cron expression of a job as Kubernetes reads it, and its zone."""
    from capa_core.blocks.schedule import At, Cron

    trigger = job.spec.trigger
    if isinstance(trigger, Cron):
        return _cron(trigger), trigger.zone
    if isinstance(trigger, At):
        raise _Refusal("it runs once, and a CronJob again and again: write a Job")
    return _interval(trigger), "UTC"


def _cron(trigger: Cron) -> str:
    _, _, days, _, weekdays = trigger.expression.upper().split()
    if re.search(r"\bL|L\b|LW|#", f"{days} {re.sub('JUL', '', weekdays)}"):
        raise _Refusal(f"Kubernetes has no L and no # as in {trigger.expression!r}")
    if re.search(r"(^|[,-])7($|[,/-])", weekdays):
        raise _Refusal(f"Kubernetes has no 7 for Sunday as in {trigger.expression!r}: write 0 or SUN")
    if "*" not in (days, weekdays) and (days.startswith("*") or weekdays.startswith("*")):
        raise _Refusal(
            f"in {trigger.expression!r} both days must match here, and one of them suffices in Kubernetes:"
            " give one of the fields as *"
        )
    return trigger.expression


def _interval(trigger: Every) -> str:
    """Return the expression whose times differ from those of the interval by less than a minute."""
    seconds, start = trigger.seconds, trigger.start
    if seconds % _MINUTE_S == 0 and _HOUR_S % seconds == 0:
        return f"{_each(start.minute, int(seconds // _MINUTE_S), 60)} * * * *"
    if seconds % _HOUR_S == 0 and _DAY_S % seconds == 0:
        return f"{start.minute} {_each(start.hour, int(seconds // _HOUR_S), 24)} * * *"
    raise _Refusal(
        f"every {seconds:g} s: cron has intervals of minutes that divide an hour and of hours that divide a day alone"
    )


def _each(start: int, step: int, whole: int) -> str:
    """Return the field for each *step*-th of *whole* units that *start* is one of."""
    if step == 1:
        return "*"
    first = start % step
    return str(first) if step == whole else f"{first}-{whole - 1}/{step}"


def _name(name: str) -> str:
    """Return *name* as a DNS label: letters, digits and hyphens."""
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")[:_LONGEST_NAME].rstrip("-")
