"""The times of a trigger: the next one, and those that are due. Pure arithmetic on UTC.

Cron follows cronsim, which follows Debian's cron at a change of the clocks. A time that does not exist, such as 2:30 in
spring, is replaced by the next instant that does; one that exists twice, in autumn, counts the first time alone. An
expression whose minutes or hours begin with `*` counts real time instead: `*/15 * * * *` goes on each quarter of an
hour, through both hours that the clocks show twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from capa_core.blocks.schedule.driver import At, Cron, Every, Trigger
from capa_core.errors import InvalidArgumentError

_FIELDS = 5
_FIRST_WINDOW = timedelta(minutes=1)
_GROWTH = 4
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


def first_of(trigger: Trigger, now: datetime) -> datetime | None:
    """Return the first time of a trigger that begins to count at *now*; a single time also if it is past."""
    return trigger.moment if isinstance(trigger, At) else next_after(trigger, now)


def next_after(trigger: Trigger, moment: datetime) -> datetime | None:
    """Return the first time after *moment*; `None` if there is none, or none within 50 years."""
    if isinstance(trigger, At):
        return trigger.moment if trigger.moment > moment else None
    if isinstance(trigger, Every):
        interval = timedelta(seconds=trigger.seconds)
        count = max(0, (moment - trigger.start) // interval)
        return trigger.start + interval * (count + 1)
    return next(_occurrences(trigger, moment), None)


def due(trigger: Trigger, first: datetime, now: datetime, most: int) -> list[datetime]:
    """Return the times from *first*, one of them, to *now*: the last *most*, in their order."""
    if first > now:
        return []
    if isinstance(trigger, At):
        return [first]
    if isinstance(trigger, Every):
        return _due_intervals(trigger, first, now, most)
    return _due_occurrences(trigger, first, now, most)


def checked_cron(expression: object, zone: object) -> Cron:
    """Return the trigger of *expression* in *zone*, with its names in order.

    Raises:
        InvalidArgumentError: The expression is not one of five fields, never comes, or the zone is not known.
    """
    if not isinstance(expression, str):
        raise InvalidArgumentError(f"cron is {expression!r}: give text such as '0 3 * * *'")
    fields = _MACROS.get(expression.strip().lower(), expression).split()
    if len(fields) != _FIELDS:
        raise InvalidArgumentError(
            f"cron is {expression!r}: give five fields (minute, hour, day of month, month, day of week), such as"
            " '0 3 * * *'; for seconds give `every`"
        )
    cron = Cron(" ".join(fields), zone if isinstance(zone, str) else repr(zone))
    _zone(cron.zone)
    try:
        found = next_after(cron, datetime.now(UTC))
    except (CronSimError, ValueError) as error:  # of a number with thousands of digits
        raise InvalidArgumentError(f"cron is {expression!r}: {error}") from None
    if found is None:
        raise InvalidArgumentError(f"cron is {expression!r}: no such time comes within 50 years")
    return cron


def _due_intervals(trigger: Every, first: datetime, now: datetime, most: int) -> list[datetime]:
    interval = timedelta(seconds=trigger.seconds)
    last = (now - trigger.start) // interval
    least = -((trigger.start - first) // interval)
    return [trigger.start + interval * number for number in range(max(least, last - most + 1), last + 1)]


def _due_occurrences(cron: Cron, first: datetime, now: datetime, most: int) -> list[datetime]:
    """Look back in growing windows: an outage of months must not be counted through minute by minute."""
    before_first = first - timedelta(seconds=1)
    window = _FIRST_WINDOW
    while True:
        is_all = now - before_first <= window
        begin = before_first if is_all else now - window
        found = deque(takewhile(lambda time: time <= now, _occurrences(cron, begin)), maxlen=most)
        if is_all or len(found) == most:
            return list(found) or [first]  # of another definition, or before the zone's rules changed
        window *= _GROWTH


def _occurrences(cron: Cron, moment: datetime) -> Iterator[datetime]:
    """Yield the times after *moment* in UTC, each later than the one before."""
    last = moment
    for local in CronSim(cron.expression, moment.astimezone(_zone(cron.zone))):
        time = local.astimezone(UTC)
        if time > last:  # in an hour that comes twice, cronsim begins with its first pass
            yield time
            last = time


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise InvalidArgumentError(
            f"zone is {name!r}: give a name of the IANA time zone database, such as 'Europe/Berlin'"
        ) from None
