"""Limits of names, leases, delays, priorities and batches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from capa_core.blocks.pubsub._message import Message
from capa_core.blocks.pubsub.driver import LONGEST_LEASE_S, LONGEST_NAME, PubSubLimits
from capa_core.call.checks import (
    LARGEST_COUNT,
    LONGEST_SPAN_S,
    Duration,
    check_count,
    check_printable,
    seconds,
)
from capa_core.call.limits import refuse
from capa_core.errors import InvalidArgumentError

SHORTEST_LEASE_S = 1.0
MOST_MESSAGES = LARGEST_COUNT


def check_name(subject: str, name: object) -> str:
    """Return *name* if it can be a topic or a group on every engine.

    Raises:
        InvalidArgumentError: It is empty, longer than 255 characters, or has control characters.
    """
    return check_printable(subject, name, LONGEST_NAME)


def check_messages(subject: str, given: object) -> list[Message]:
    """Return the messages that *given* holds.

    Raises:
        InvalidArgumentError: It is not an iterable of messages.
    """
    if not isinstance(given, Iterable):
        raise InvalidArgumentError(f"{subject} is of type {type(given).__name__}: give a list of messages")
    messages = list(given)
    for message in messages:
        if not isinstance(message, Message):
            raise InvalidArgumentError(
                f"{subject} holds something of type {type(message).__name__}: give a list of messages"
            )
    return messages


def check_priority(value: object) -> None:
    """Accept 0 (normal) to 9 (most urgent).

    Raises:
        InvalidArgumentError: It is anything else.
    """
    check_count("priority", value, least=0, most=9)


def check_lease(lease: Duration, most: float = LONGEST_LEASE_S) -> float:
    """Return the lease in seconds, 1 to *most*.

    Raises:
        InvalidArgumentError: It is outside.
    """
    return seconds("lease", lease, least=SHORTEST_LEASE_S, most=most)


@dataclass(frozen=True, slots=True)
class Delays:
    """The delays that the component *name* accepts: of messages that are published, and of those that are rejected."""

    name: str
    limits: PubSubLimits

    @property
    def longest_s(self) -> float:
        """The longest delay."""
        longest = self.limits.max_delay_s
        return LONGEST_SPAN_S if longest is None else longest

    def seconds(self, subject: str, delay: Duration, *, thing: str = "") -> float:
        """Return the argument *subject* in seconds; *thing* names it in the refusal of one that is too long.

        Raises:
            InvalidArgumentError: It is no time, or longer than the component's `max_delay_s`.
        """
        delay_s = seconds(subject, delay)
        if delay_s > self.longest_s:
            refuse(f"pubsub {self.name!r}", thing or subject, delay_s, self.limits, "max_delay_s")
        return delay_s
