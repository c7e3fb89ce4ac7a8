"""Checks of what callers pass in."""

from __future__ import annotations

from datetime import timedelta

from capa_core.blocks.state.driver import LONGEST_KEY
from capa_core.errors import InvalidArgumentError


def check_key(key: object) -> None:
    """Refuse a key that is not 1 to 512 characters of Unicode.

    Raises:
        InvalidArgumentError: It is not.
    """
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_KEY:
        raise InvalidArgumentError(f"a key is text of 1 to {LONGEST_KEY} characters, not {_short(key)}")
    if not key.isascii():
        check_text(key)


def check_text(text: str) -> None:
    """Refuse text that has no UTF-8 form.

    Raises:
        InvalidArgumentError: It has half of a surrogate pair in it.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgumentError(f"{text!r} is no valid Unicode: {error.reason}") from None


def check_value(value: object) -> None:
    """Refuse a value that is not bytes.

    Raises:
        InvalidArgumentError: It is not.
    """
    if not isinstance(value, bytes):
        raise InvalidArgumentError(
            f"a value is bytes, not {type(value).__name__}. Encode it, or use put_json for what JSON can hold."
        )


def seconds(what: str, value: timedelta | float) -> float:
    """Return a span of time in seconds.

    Raises:
        InvalidArgumentError: It is no span of time, or negative.
    """
    given: object = value.total_seconds() if isinstance(value, timedelta) else value
    if not isinstance(given, int | float) or not 0 <= given < float("inf"):
        raise InvalidArgumentError(f"{what} is a timedelta or seconds, from 0, not {value!r}")
    return given


def check_number(by: object) -> None:
    """Refuse what is no whole number of 64 bits.

    Raises:
        InvalidArgumentError: It is not.
    """
    if not isinstance(by, int) or by.bit_length() > 63:
        raise InvalidArgumentError(f"a whole number of 64 bits can be added, not {by!r}")


def ttl_seconds(ttl: timedelta | float | None) -> float | None:
    """Return a time to live in seconds.

    Raises:
        InvalidArgumentError: It is no span of time, or not above 0.
    """
    if ttl is None:
        return None
    ttl_s = seconds("ttl", ttl)
    if ttl_s <= 0:
        raise InvalidArgumentError("ttl must be above 0. To take a value away at once, delete it.")
    return ttl_s


def _short(key: object) -> str:
    return f"{len(key)} characters" if isinstance(key, str) else type(key).__name__
