"""Values of an inspection: topics, their groups, and messages read without receiving them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from capa_core.blocks.pubsub import _cloudevents
from capa_core.errors import InvalidArgumentError

if TYPE_CHECKING:
    from capa_core.blocks.pubsub.driver import Delivery, OutgoingMessage

KEPT = ""
"""The group that engines with queues keep the messages of a topic in until its first group is created."""

DEAD_SUFFIX = ".dead"
DEAD_TOPIC = "capa-dead-topic"
DEAD_GROUP = "capa-dead-group"
DEAD_ID = "capa-dead-id"
DEAD_DELIVERIES = "capa-dead-deliveries"
DEAD_REASON = "capa-dead-reason"
DEAD_LETTER_GROUP = "default"
DEAD_ATTRIBUTES = frozenset({DEAD_TOPIC, DEAD_GROUP, DEAD_ID, DEAD_DELIVERIES, DEAD_REASON})

REPLAY_LEASE_S = 60.0
"""Seconds after which the dead letters that a killed replay had leased are available again."""

_NUMBER = re.compile(r"[0-9]{1,18}")  # no more than a 64-bit integer holds


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStatus:
    """One group of a topic at one moment.

    Attributes:
        depth: Messages that are not acknowledged yet: ready, delayed and in flight.
        in_flight: Of these, delivered and hidden: leased by a consumer, or waiting for their next delivery.
        oldest_s: Seconds since the oldest of them was published; `None` if there is none.
        consumers: How many consumers there are; `None` where the engine keeps no record of them.
        temporary: Whether the group is one consumer's own and ends with it.
    """

    name: str
    depth: int
    in_flight: int
    oldest_s: float | None = None
    consumers: int | None = None
    temporary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicStatus:
    """One topic at one moment.

    Attributes:
        groups: By name.
        kept: Messages that wait for the first group; 0 as soon as there is one.
        oldest_s: Seconds since the oldest of the kept messages was published; `None` if there is none.
    """

    name: str
    groups: tuple[GroupStatus, ...] = ()
    kept: int = 0
    oldest_s: float | None = None

    @classmethod
    def of(cls, name: str, found: Sequence[GroupStatus]) -> Self:
        """Return the topic *name* with the groups *found*, of which `KEPT` counts until there is a lasting one."""
        groups = tuple(group for group in found if group.name != KEPT)
        kept = next((group for group in found if group.name == KEPT), None)
        if kept is None or any(not group.temporary for group in groups):
            return cls(name=name, groups=groups)
        return cls(name=name, groups=groups, kept=kept.depth, oldest_s=kept.oldest_s)

    @property
    def depth(self) -> int:
        """The largest depth of a group, or the number of kept messages."""
        return max((group.depth for group in self.groups), default=self.kept)


class MessageState(StrEnum):
    """The state of a waiting message."""

    READY = "ready"
    DELAYED = "delayed"
    IN_FLIGHT = "in flight"
    BEHIND = "behind another of its key"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeekedMessage:
    """A message that was peeked at: it is neither leased nor counted, and may be acknowledged by now.

    Attributes:
        position: Pass it as *after* to get the next page.
        data: The body as stored, the envelope included; cut off where it is longer than was asked for.
        size: Bytes of the whole body.
        delivery_count: How often it was delivered.
        published_at: Seconds since the epoch.
    """

    position: str
    id: str
    data: bytes
    size: int
    content_type: str
    attributes: Mapping[str, str]
    key: str
    priority: int
    delivery_count: int
    published_at: float
    state: MessageState

    @classmethod
    def of(
        cls,
        message: OutgoingMessage | Delivery,
        position: str,
        *,
        max_bytes: int,
        delivery_count: int,
        published_at: float,
        state: MessageState,
    ) -> Self:
        """Return *message* as a look at it shows it, with up to *max_bytes* of its body."""
        return cls(
            position=position,
            id=message.id,
            data=message.data[:max_bytes],
            size=len(message.data),
            content_type=message.content_type,
            attributes=message.attributes,
            key=message.key,
            priority=message.priority,
            delivery_count=delivery_count,
            published_at=published_at,
            state=state,
        )

    def unwrapped(self) -> PeekedMessage:
        """Return the message as a handler gets it, without its envelope; unchanged if it has none or was cut off."""
        if len(self.data) < self.size or not self.content_type.startswith(_cloudevents.CONTENT_TYPE):
            return self
        event = _cloudevents.unwrap(self.data)
        if event is None:
            return self
        ident, data, content_type, fields = event
        return replace(
            self,
            id=ident,
            data=data,
            size=len(data),
            content_type=content_type,
            attributes={**self.attributes, **fields},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that a group gave up on.

    Attributes:
        message: As it is stored in the dead letter topic.
        topic: The topic to which it was published.
        group: The group that gave up on it.
        id: As it was published.
        deliveries: How often it was delivered before.
        reason: The reason for which it was given up on.
    """

    message: PeekedMessage
    topic: str
    group: str
    id: str
    deliveries: int
    reason: str


def dead_topic(topic: str) -> str:
    """Return the topic of the dead letters of *topic*."""
    return topic + DEAD_SUFFIX


def dead_letter_group(status: TopicStatus) -> GroupStatus:
    """Return the group whose messages are the dead letters, given the *status* of a dead letter topic.

    That is `default`, which also stands for the messages that are kept for the first group. Where there are other
    lasting groups and no `default`, it is the one with most messages: each of them has its own copy of every letter.
    """
    lasting = [group for group in status.groups if not group.temporary]
    for group in status.groups:
        if group.name == DEAD_LETTER_GROUP:
            return group
    if lasting:
        return max(lasting, key=lambda group: group.depth)
    return GroupStatus(name=DEAD_LETTER_GROUP, depth=status.kept, in_flight=0, oldest_s=status.oldest_s)


def check_position(after: str, pattern: re.Pattern[str]) -> str:
    """Return *after* if it is `""` or matches *pattern*, the form of the positions of an engine.

    Raises:
        InvalidArgumentError: It is something else.
    """
    if after and not pattern.fullmatch(after):
        raise InvalidArgumentError(f"after is {after!r}: give the position of a message that peek returned")
    return after


def number_of_position(after: str) -> int:
    """Return the number that *after* holds on engines that number messages; 0 for `""`.

    Raises:
        InvalidArgumentError: It is not the position of a message.
    """
    return int(check_position(after, _NUMBER) or 0)


def dead_letter(topic: str, message: PeekedMessage) -> DeadLetter:
    """Return *message*, found in the dead letter topic of *topic*, with its origin and reason."""
    about = message.attributes
    deliveries = about.get(DEAD_DELIVERIES, "")
    return DeadLetter(
        message=message,
        topic=about.get(DEAD_TOPIC, topic),
        group=about.get(DEAD_GROUP, ""),
        id=about.get(DEAD_ID, message.id),
        deliveries=int(deliveries) if deliveries.isdecimal() else 0,
        reason=about.get(DEAD_REASON, ""),
    )
