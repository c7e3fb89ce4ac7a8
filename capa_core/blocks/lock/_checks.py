"""Checks of the arguments of lock calls."""

from __future__ import annotations

from datetime import timedelta

from capa_core.blocks.lock.driver import LONGEST_NAME, LockLimits
from capa_core.errors import InvalidArgumentError

Duration = timedelta | float
"""A span of time: a `timedelta`, or seconds."""


def check_text(what: str, text: object) -> None:
    """Check that *text* is 1 to 512 characters of Unicode.

    Raises:
        InvalidArgumentError: It is not.
    """
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST_NAME:
        raise InvalidArgumentError(f"{what} is text of 1 to {LONGEST_NAME} characters, not {text!r}")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(f"{what} {text!r} is no valid Unicode: {error.reason}") from None


def seconds(what: str, value: Duration, *, least: float = 0.0, most: float = float("inf")) -> float:
    """Return a span of time in seconds.

    Raises:
        InvalidArgumentError: It is no span of time, or outside *least* to *most*.
    """
    given: object = value.total_seconds() if isinstance(value, timedelta) else value
    if not isinstance(given, int | float) or not least <= given <= most:
        raise InvalidArgumentError(f"{what} is a timedelta or seconds, {least:g} to {most:g}, not {value!r}")
    return given


def lease_seconds(lease: Duration, limits: LockLimits) -> float:
    """Return a lease in seconds.

    Raises:
        InvalidArgumentError: It is no span of time within *limits*.
    """
    return seconds("lease", lease, least=limits.min_lease_s, most=limits.max_lease_s)
