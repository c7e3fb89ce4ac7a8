"""Parts of stored JSON, checked: another program, or a damaged disk, may have put something else there."""

from __future__ import annotations

from collections.abc import Mapping

_LATEST_S = 250_000_000_000
"""A time after which no calendar goes: in the year 9892."""


def text(value: object) -> str:
    """Return *value*.

    Raises:
        TypeError: It is no text.
    """
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is not a text")
    return value


def optional_text(value: object) -> str | None:
    """Return *value*.

    Raises:
        TypeError: It is neither a text nor `None`.
    """
    return None if value is None else text(value)


def texts(value: object) -> dict[str, str]:
    """Return *value*.

    Raises:
        TypeError: It is not a mapping of texts to texts.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r:.40} is not a mapping")
    return {text(key): text(one) for key, one in value.items()}


def seconds(value: object) -> float:
    """Return *value*.

    Raises:
        TypeError: It is no number of seconds.
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < _LATEST_S:
        raise TypeError(f"{value!r:.40} is not a time in seconds")
    return float(value)
