"""Checks of keys, values, numbers and times to live."""

from __future__ import annotations

from capa_core.blocks.state.driver import LONGEST_KEY
from capa_core.call.checks import Duration, check_text, seconds
from capa_core.errors import InvalidArgumentError


def check_key(key: object) -> None:
    """Check that *key* is 1 to 512 characters of Unicode.

    Raises:
        InvalidArgumentError: It is something else.
    """
    check_text("a key", key, LONGEST_KEY)


def check_value(value: object) -> None:
    """Check that *value* is bytes.

    Raises:
        InvalidArgumentError: It is something else.
    """
    if not isinstance(value, bytes):
        raise InvalidArgumentError(
            f"a value is of type {type(value).__name__}: give bytes, or use put_json for a value that JSON can hold"
        )


def check_number(by: object) -> None:
    """Check that *by* is a whole number of 64 bits.

    Raises:
        InvalidArgumentError: It is something else.
    """
    if not isinstance(by, int) or by.bit_length() > 63:
        raise InvalidArgumentError(f"the number to add is {by!r}: give a whole number of 64 bits")


def ttl_seconds(ttl: Duration | None) -> float | None:
    """Return a time to live in seconds.

    Raises:
        InvalidArgumentError: It is not a span of time, or not above 0.
    """
    if ttl is None:
        return None
    ttl_s = seconds("ttl", ttl)
    if ttl_s <= 0:
        raise InvalidArgumentError("ttl is 0: give more than 0, or delete the value to remove it at once")
    return ttl_s
