"""The lag of bridges, and the messages that they would move: read without receiving one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from capa_core.blocks.pubsub import PubSubFeature
from capa_core.blocks.pubsub.inspection import dead_letter_group, dead_topic
from capa_core.errors import CapaError
from capa_migration.live.bridge.carried import WAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capa_core.blocks.pubsub import GroupStatus, PeekedMessage
    from capa_migration.live.bridge.mover import Route

_PAGE = 1_000
_MOST_LOOKED_AT = 10_000
_FEW_BYTES = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeStatus:
    """One bridge at one moment.

    Attributes:
        lag: Messages that wait to be moved, delayed ones and those in flight included; `None` if the source does not
            answer.
        oldest_s: Seconds since the oldest of them was published; `None` where that is not known.
        consumers: Of the group, bridges included; `None` where the engine keeps no record of them.
        dead_letters: Of the source's topic; `None` where that cannot be inspected.
        problem: The reason why there are no numbers; `""` if there are.
    """

    lag: int | None
    oldest_s: float | None = None
    consumers: int | None = None
    dead_letters: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The messages that a bridge would move now.

    Attributes:
        waiting: Messages that it would receive sooner or later.
        looked_at: Of these, how many the next two numbers are about; 0 where messages cannot be peeked at.
        too_large: Those that are larger than the target accepts: they would become dead letters.
        came_from_there: Those that came over a bridge from the target: they would not go back.
    """

    waiting: int
    looked_at: int
    too_large: int
    came_from_there: int


def lag_of(route: Route) -> int | None:
    """Return how many messages wait to be moved; `None` if the source does not answer."""
    try:
        return route.source.depth(route.plan.source.topic, route.plan.taken_from)
    except CapaError:
        return None


def status_of(route: Route) -> BridgeStatus:
    """Return the status of a bridge; it need not run."""
    plan, source = route.plan, route.source
    try:
        lag = source.depth(plan.source.topic, plan.taken_from)
        if not source.features[PubSubFeature.INSPECT]:
            return BridgeStatus(lag=lag)
        group = _group(route)
        dead = dead_letter_group(source.inspect(dead_topic(plan.source.topic)))
    except CapaError as error:
        return BridgeStatus(lag=None, problem=str(error))
    return BridgeStatus(
        lag=lag,
        oldest_s=group.oldest_s if group else None,
        consumers=group.consumers if group else None,
        dead_letters=dead.depth,
    )


def forecast_of(route: Route) -> Forecast:
    """Return what a bridge would do; up to 10,000 messages are looked at.

    Raises:
        UnavailableError: The source does not answer.
    """
    waiting = route.source.depth(route.plan.source.topic, route.plan.taken_from)
    most = route.target.limits.max_message_bytes
    seen = list(_peeked(route))
    return Forecast(
        waiting=waiting,
        looked_at=len(seen),
        too_large=sum(most is not None and message.size > most for message in seen),
        came_from_there=sum(
            route.target_mark in message.attributes.get(WAY, "").split(",") for message in seen
        ),
    )


def as_data(route: Route, found: BridgeStatus | Forecast) -> dict[str, Any]:
    """Return what was *found* about a bridge as data for JSON."""
    plan = route.plan
    numbers = {name: getattr(found, name) for name in type(found).__slots__}
    return {
        "bridge": plan.name,
        "from": str(plan.source),
        "to": str(plan.target),
        "group": plan.taken_from,
        "on": plan.on,
        **numbers,
    }


def _group(route: Route) -> GroupStatus | None:
    groups = route.source.inspect(route.plan.source.topic).groups
    return next((group for group in groups if group.name == route.plan.taken_from), None)


def _peeked(route: Route) -> Iterator[PeekedMessage]:
    if not route.source.features[PubSubFeature.INSPECT]:
        return
    after, left = "", _MOST_LOOKED_AT
    while left:
        page = route.source.peek(
            route.plan.source.topic,
            route.plan.taken_from,
            most=min(_PAGE, left),
            after=after,
            max_bytes=_FEW_BYTES,
        )
        yield from page
        left -= len(page)
        if len(page) < _PAGE:
            return
        after = page[-1].position
