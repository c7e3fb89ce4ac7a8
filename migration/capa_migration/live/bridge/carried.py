"""A message as a bridge passes it on: unchanged, with the marks of its way.

The marks are attributes beside the body, so headers on engines that have those:

    capa-bridge            the topics that it was in before, as marks of 12 hex digits, with commas between
    capa-bridge-time       when it was first published, in seconds since the epoch
    capa-bridge-back       how often it was taken back to a topic that it was in before
    capa-bridge-key        its key, where the target cannot order by key
    capa-bridge-priority   its priority, where the target has none
"""

from __future__ import annotations

import math
import time
from enum import Enum
from typing import TYPE_CHECKING

from capa_core.blocks.pubsub import Draft, Message, PubSubFeature

if TYPE_CHECKING:
    from capa_core import PubSub

WAY = "capa-bridge"
TIME = "capa-bridge-time"
BACK = "capa-bridge-back"
KEY = "capa-bridge-key"
PRIORITY = "capa-bridge-priority"
MOST_HOPS = 8
"""A circle of bridges that name one topic in several ways, such as by two names of a host, ends here."""


class Verdict(Enum):
    """The reason why a message does not go on."""

    CAME_FROM_THERE = "came from there"
    EXPIRED = "expired"
    CIRCLES = (
        f"came over {MOST_HOPS} bridges: they form a circle; see that each names a topic by the same address"
    )


def verdict(message: Message, target_mark: str, *, take_back: bool) -> Verdict | None:
    """Return why *message* does not go to the topic with *target_mark*; `None` if it does.

    Args:
        take_back: Whether one that came from there goes back.
    """
    way = way_of(message)
    if target_mark in way and not take_back:
        return Verdict.CAME_FROM_THERE
    if len(way) >= MOST_HOPS or _times_back(message) >= MOST_HOPS:
        return Verdict.CIRCLES
    left_s = left_of(message)
    return Verdict.EXPIRED if left_s is not None and left_s <= 0 else None


def way_of(message: Message) -> list[str]:
    """Return the marks of the topics that *message* was in."""
    return [mark for mark in message.attributes.get(WAY, "").split(",") if mark]


def comes_once(message: Message) -> bool:
    """Return whether a message with this id goes one way once, so that another one is a duplicate.

    One that was taken back goes the same way again. Those of other programs that have no id are not one message.
    """
    return bool(message.id) and BACK not in message.attributes


def left_of(message: Message) -> float | None:
    """Return the seconds of the time to live of *message* that are left, to the millisecond; `None` if it has none."""
    if message.expires_at is None or not math.isfinite(message.expires_at):
        return None
    return round(message.expires_at - time.time(), 3)


def draft(message: Message, marks: tuple[str, str], target: PubSub, once_s: float) -> Draft:
    """Return *message* as it is published to *target*.

    Args:
        marks: Of the topics that it comes from and goes to.
        once_s: For how long *target* is to know its id.
    """
    attributes = {**message.attributes, **_marked(message, *marks)}
    key = message.key or attributes.pop(KEY, "")
    priority = message.priority or _digit(attributes.pop(PRIORITY, ""))
    if key and not target.features[PubSubFeature.ORDER_BY_KEY]:
        attributes[KEY], key = key, ""
    if priority and not target.features[PubSubFeature.PRIORITY]:
        attributes[PRIORITY], priority = str(priority), 0
    if message.published_at:
        attributes.setdefault(TIME, repr(message.published_at))
    return Draft(
        data=message.data,
        content_type=message.content_type,
        attributes=attributes,
        key=key,
        priority=priority,
        ttl=left_of(message),
        id=message.id or None,
        once_within=once_s if message.id and BACK not in attributes else 0.0,
    )


def _marked(message: Message, source_mark: str, target_mark: str) -> dict[str, str]:
    """Return the marks of the way of *message*; one that is taken back is as it was there, but for the count."""
    way = way_of(message)
    if target_mark in way:
        return {WAY: ",".join(way[: way.index(target_mark)]), BACK: str(_times_back(message) + 1)}
    return {WAY: ",".join([*way, source_mark])}


def _times_back(message: Message) -> int:
    return _digit(message.attributes.get(BACK, ""))


def _digit(text: str) -> int:
    return int(text) if len(text) == 1 and text.isdecimal() else 0
