"""Checks of the arguments that define a job."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, get_args

from capa_core.blocks.schedule._times import checked_cron
from capa_core.blocks.schedule.driver import (
    LONGEST_NAME,
    SHORTEST_INTERVAL_S,
    At,
    Concurrency,
    Every,
    JobSpec,
    Misfire,
    ScheduleLimits,
    Trigger,
)
from capa_core.call.checks import Duration, check_count, check_text, seconds
from capa_core.errors import InvalidArgumentError, nearest

_LONGEST_INTERVAL_S = 10 * 366 * 86_400.0
_MOST_MADE_UP_FOR = 1_000


def check_name(name: object) -> None:
    """Check that *name* is 1 to 200 characters of Unicode.

    Raises:
        InvalidArgumentError: It is something else.
    """
    check_text("the name of a job", name, LONGEST_NAME)


def checked_trigger(
    now: datetime, *, cron: object, zone: object, every: Duration | None, at: object
) -> Trigger:
    """Return the trigger that exactly one of *cron*, *every* and *at* gives.

    Raises:
        InvalidArgumentError: None or several are given, or the one is malformed.
    """
    given = [name for name, value in (("cron", cron), ("every", every), ("at", at)) if value is not None]
    if len(given) != 1:
        raise InvalidArgumentError(
            f"a job has one of cron, every and at: {' and '.join(given) or 'none'} was given"
        )
    if cron is not None:
        return checked_cron(cron, zone)
    if zone != "UTC":
        raise InvalidArgumentError(f"zone is {zone!r}: only cron has a zone")
    if every is not None:
        return Every(
            seconds("every", every, least=SHORTEST_INTERVAL_S, most=_LONGEST_INTERVAL_S),
            now.replace(microsecond=0),
        )
    return At(_in_utc(at))


def _in_utc(at: object) -> datetime:
    if not isinstance(at, datetime) or at.utcoffset() is None:
        raise InvalidArgumentError(
            f"at is {at!r}: give a datetime with a time zone, such as datetime(…, tzinfo=UTC)"
        )
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise InvalidArgumentError(f"at is {at!r}: in UTC it is outside the years 1 to 9999") from None


def checked_spec(
    trigger: Trigger,
    limits: ScheduleLimits,
    *,
    misfire: Any,
    misfire_grace: Duration,
    misfire_limit: int,
    concurrency: Any,
    recover: bool,
    history_limit: int,
) -> JobSpec:
    """Return the definition of a job.

    Raises:
        InvalidArgumentError: A value is outside its range, or two do not go together.
    """
    _check_word("misfire", misfire, get_args(Misfire))
    _check_word("concurrency", concurrency, get_args(Concurrency))
    if misfire == "all" and concurrency == "replace":
        raise InvalidArgumentError(
            "misfire='all' makes up for each run, and concurrency='replace' would end each for the next one:"
            " give 'forbid'"
        )
    return JobSpec(
        trigger=trigger,
        misfire=misfire,
        misfire_grace_s=seconds("misfire_grace", misfire_grace),
        misfire_limit=check_count("misfire_limit", misfire_limit, most=_MOST_MADE_UP_FOR),
        concurrency=concurrency,
        recover=bool(recover),
        history_limit=check_count("history_limit", history_limit, least=0, most=limits.max_history),
    )


def _check_word(subject: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        hint = nearest(value, known) if isinstance(value, str) else f" Known: {', '.join(known)}."
        raise InvalidArgumentError(f"{subject} is {value!r}.{hint}")
