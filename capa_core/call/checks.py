"""Checks of arguments, shared by all blocks. A message names the argument, its value and the accepted values."""

from __future__ import annotations

import math
from datetime import timedelta

from capa_core.errors import InvalidArgumentError

Duration = timedelta | float
"""A span of time: a `timedelta`, or seconds."""

LONGEST_SPAN_S = 10**18
"""The longest span that a call accepts: it fits into 64 bits, and is above the limits of all engines, checked next."""

LARGEST_COUNT = 10_000
"""The largest count that a call accepts unless it has a limit of its own."""


def check_text(subject: str, text: object, longest: int) -> None:
    """Check that *text* is 1 to *longest* characters of Unicode with a UTF-8 form.

    Raises:
        InvalidArgumentError: It is something else.
    """
    if not isinstance(text, str) or not 0 < len(text) <= longest:
        raise InvalidArgumentError(f"{subject} is {_shown(text)}: give text of 1 to {longest} characters")
    if not text.isascii():
        check_unicode(subject, text)


def check_unicode(subject: str, text: str) -> None:
    """Check that the name *text* has a UTF-8 form; the message shows it.

    Raises:
        InvalidArgumentError: It holds half of a surrogate pair.
    """
    check_encodable(f"{subject} {text!r}", text)


def check_encodable(subject: str, text: object) -> None:
    """Check that a value is text with a UTF-8 form; the message does not show it.

    Raises:
        InvalidArgumentError: It is something else, or holds half of a surrogate pair.
    """
    if not isinstance(text, str):
        raise InvalidArgumentError(f"{subject} is {_shown(text)}: give text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(f"{subject} is not valid Unicode: {error.reason}") from None


def check_printable(subject: str, text: object, longest: int) -> str:
    """Return *text* if it is 1 to *longest* characters without control characters and unpaired surrogates.

    Raises:
        InvalidArgumentError: It is something else.
    """
    if not isinstance(text, str) or not 0 < len(text) <= longest or not text.isprintable():
        raise InvalidArgumentError(f"{subject} is {text!r}: give 1 to {longest} printable characters")
    return text


def check_count(subject: str, value: object, *, least: int = 1, most: int = LARGEST_COUNT) -> int:
    """Return *value* if it is a whole number from *least* to *most*.

    Raises:
        InvalidArgumentError: It is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidArgumentError(f"{subject} is {value!r}: give a whole number from {least} to {most}")
    return value


def seconds(subject: str, value: object, *, least: float = 0.0, most: float = LONGEST_SPAN_S) -> float:
    """Return a `timedelta`, or a number of seconds, as seconds; an infinite *most* allows an infinite span.

    Raises:
        InvalidArgumentError: It is neither, or outside *least* to *most*.
    """
    given = value.total_seconds() if isinstance(value, timedelta) else value
    if not isinstance(given, int | float) or isinstance(given, bool) or not least <= given <= most:
        accepted = f"from {least:g} to {most:g}" if math.isfinite(most) else f"{least:g} or more"
        raise InvalidArgumentError(f"{subject} is {value!r}: give a timedelta or seconds, {accepted}")
    return float(given)


def _shown(value: object) -> str:
    """Return a description of *value* for a message, in which a long text would hide the rest."""
    if isinstance(value, str):
        return f"{len(value)} characters long" if value else "empty"
    return f"of type {type(value).__name__}"
