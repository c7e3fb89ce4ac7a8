"""Checks of arguments that all of the block share."""

from __future__ import annotations

from datetime import timedelta

from capa_core.blocks.pubsub.driver import LONGEST_LEASE_S, LONGEST_NAME
from capa_core.errors import InvalidArgumentError

SHORTEST_LEASE_S = 1.0
MOST_MESSAGES = 10_000


def check_name(what: str, name: object) -> str:
    """Return *name* if it can be a topic or a group on every engine.

    Raises:
        InvalidArgumentError: It is empty, longer than 255 characters, or has control characters.
    """
    if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise InvalidArgumentError(
            f"{what} {name!r} is not usable: give 1 to {LONGEST_NAME} printable characters"
        )
    return name


def seconds(what: str, value: object, *, least: float = 0.0, most: float = float("inf")) -> float:
    """Return a span of time in seconds.

    Raises:
        InvalidArgumentError: It is no span of time, or outside *least* to *most*.
    """
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if not isinstance(value, int | float) or not least <= value <= most:
        raise InvalidArgumentError(
            f"{what} is {value!r}: give a timedelta or seconds, from {least:g} to {most:g}"
        )
    return float(value)


def check_count(what: str, value: object, *, largest: int = MOST_MESSAGES) -> int:
    """Return *value* if it is a whole number from 1 to *largest*.

    Raises:
        InvalidArgumentError: It is not.
    """
    if not isinstance(value, int) or not 1 <= value <= largest:
        raise InvalidArgumentError(f"{what} is {value!r}: give a whole number from 1 to {largest}")
    return value


def check_priority(value: object) -> None:
    """Let 0 (normal) to 9 (most urgent) pass.

    Raises:
        InvalidArgumentError: It is anything else.
    """
    if not isinstance(value, int) or not 0 <= value <= 9:
        raise InvalidArgumentError(f"priority is {value!r}: give 0 (normal) to 9 (most urgent)")


def check_lease(lease: timedelta | float, most: float = LONGEST_LEASE_S) -> float:
    """Return the lease in seconds, 1 to *most*.

    Raises:
        InvalidArgumentError: It is outside.
    """
    return seconds("lease", lease, least=SHORTEST_LEASE_S, most=most)
