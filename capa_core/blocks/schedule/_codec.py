"""Jobs as JSON, for engines that store one value for each."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from capa_core.blocks.schedule.driver import (
    At,
    Cron,
    Every,
    Job,
    JobSpec,
    Outcome,
    Request,
    RunStatus,
    Trigger,
)
from capa_core.errors import DataLossError

_KINDS: dict[type[Trigger], str] = {Cron: "cron", Every: "every", At: "at"}


def encoded(job: Job) -> bytes:
    """Return *job* as JSON, with times in ISO 8601."""
    data = asdict(job)
    data["spec"]["trigger"] = {"kind": _KINDS[type(job.spec.trigger)], **data["spec"]["trigger"]}
    return json.dumps(data, default=datetime.isoformat, ensure_ascii=False).encode()


def decoded(name: str, value: bytes) -> Job:
    """Return the job *name* of its JSON.

    Raises:
        DataLossError: It is not what `encoded` writes.
    """
    try:
        return _job(json.loads(value))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataLossError(
            f"the stored job {name!r} cannot be read ({type(error).__name__}: {error}). Another program has written"
            " it; it was left unchanged. Correct it, or remove it with `Schedule.remove`."
        ) from None


def _job(data: dict[str, Any]) -> Job:
    spec = data.pop("spec")
    trigger = _trigger(spec.pop("trigger"))
    return Job(
        spec=JobSpec(trigger=trigger, **spec),
        next_at=_time(data.pop("next_at")),
        running=tuple(map(_run, data.pop("running"))),
        history=tuple(map(_run, data.pop("history"))),
        requested=tuple(Request(id=one["id"], at=_moment(one["at"])) for one in data.pop("requested")),
        **data,
    )


def _trigger(data: dict[str, Any]) -> Trigger:
    match data:
        case {"kind": "cron", "expression": str(expression), "zone": str(zone)}:
            return Cron(expression, zone)
        case {"kind": "every", "seconds": int() | float() as seconds, "start": str(start)}:
            return Every(seconds, _moment(start))
        case {"kind": "at", "moment": str(moment)}:
            return At(_moment(moment))
    raise ValueError(f"{data} is no trigger")


def _run(data: dict[str, Any]) -> RunStatus:
    return RunStatus(
        scheduled_at=_moment(data.pop("scheduled_at")),
        started_at=_time(data.pop("started_at")),
        ended_at=_time(data.pop("ended_at")),
        outcome=Outcome(data.pop("outcome")),
        **data,
    )


def _time(text: str | None) -> datetime | None:
    return None if text is None else _moment(text)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return moment
