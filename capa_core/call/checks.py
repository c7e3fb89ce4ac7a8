"""Checks of arguments, shared by all blocks. A message names the argument, its value and the accepted values."""

from __future__ import annotations

from datetime import timedelta

from capa_core.errors import InvalidArgumentError

Duration = timedelta | float
"""A span of time: a `timedelta`, or seconds."""

LARGEST_COUNT = 10_000
"""The largest count that a call accepts unless it has a limit of its own."""


def check_text(what: str, text: object, longest: int) -> None:
    """Check that *text* is 1 to *longest* characters of Unicode with a UTF-8 form.

    Raises:
        InvalidArgumentError: It is something else.
    """
    if not isinstance(text, str) or not 0 < len(text) <= longest:
        raise InvalidArgumentError(f"{what} is {_shown(text)}: give text of 1 to {longest} characters")
    if not text.isascii():
        check_unicode(what, text)


def check_unicode(what: str, text: str) -> None:
    """Check that *text* has a UTF-8 form.

    Raises:
        InvalidArgumentError: It holds half of a surrogate pair.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(f"{what} {text!r} is not valid Unicode: {error.reason}") from None


def check_printable(what: str, text: object, longest: int) -> str:
    """Return *text* if it is 1 to *longest* characters without control characters and unpaired surrogates.

    Raises:
        InvalidArgumentError: It is something else.
    """
    if not isinstance(text, str) or not 0 < len(text) <= longest or not text.isprintable():
        raise InvalidArgumentError(f"{what} is {text!r}: give 1 to {longest} printable characters")
    return text


def check_count(what: str, value: object, *, least: int = 1, most: int = LARGEST_COUNT) -> int:
    """Return *value* if it is a whole number from *least* to *most*.

    Raises:
        InvalidArgumentError: It is not.
    """
    if not isinstance(value, int) or not least <= value <= most:
        raise InvalidArgumentError(f"{what} is {value!r}: give a whole number from {least} to {most}")
    return value


def seconds(what: str, value: object, *, least: float = 0.0, most: float = float("inf")) -> float:
    """Return a `timedelta`, or a number of seconds, as seconds.

    Raises:
        InvalidArgumentError: It is neither, or outside *least* to *most*.
    """
    given = value.total_seconds() if isinstance(value, timedelta) else value
    if not isinstance(given, int | float) or not least <= given <= most:
        raise InvalidArgumentError(
            f"{what} is {value!r}: give a timedelta or seconds, from {least:g} to {most:g}"
        )
    return float(given)


def _shown(value: object) -> str:
    """Return a description of *value* for a message, in which a long text would hide the rest."""
    if isinstance(value, str):
        return f"{len(value)} characters long" if value else "empty"
    return f"of type {type(value).__name__}"
