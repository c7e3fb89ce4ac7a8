"""`${key:default}` as Spring resolves it.

Source: `org.springframework.util.PropertyPlaceholderHelper`, and Apollo's `PlaceholderHelper` for which keys count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from capa_core.errors import InvalidArgumentError

if TYPE_CHECKING:
    from capa_core.blocks.configuration import ConfigurationView

Lookup = Callable[[str], str | None]

_OPENING = "${"


def resolve_text(expression: str, lookup: Lookup) -> str:
    """Return *expression* with each placeholder replaced; raises as `resolve` does."""
    return _replaced(expression, lookup, ())


def lookup_in(views: Sequence[ConfigurationView]) -> Lookup:
    """Return a function from key to text over *views*, the strongest first."""

    def lookup(key: str) -> str | None:
        return next((text for view in views if (text := view.get(key)) is not None), None)

    return lookup


def _replaced(text: str, lookup: Lookup, visiting: tuple[str, ...]) -> str:
    parts, position = [], 0
    while (start := text.find(_OPENING, position)) >= 0:
        end = _closing(text, start)
        parts += [text[position:start], _value(text[start + 2 : end], lookup, visiting)]
        position = end + 1
    return "".join([*parts, text[position:]])


def _value(inner: str, lookup: Lookup, visiting: tuple[str, ...]) -> str:
    if inner in visiting:
        raise InvalidArgumentError(
            f"${{{inner}}} refers to itself by way of {' → '.join([*visiting, inner])}"
        )
    visiting = (*visiting, inner)
    key, found, default = _found(_replaced_key(inner, lookup, visiting), lookup)
    if found is not None:
        return _replaced(found, lookup, visiting)
    if default is not None:
        return _replaced(default, lookup, visiting)
    raise InvalidArgumentError(f"no value for ${{{key}}}. Set {key!r}, or write a default: ${{{key}:…}}")


def _replaced_key(inner: str, lookup: Lookup, visiting: tuple[str, ...]) -> str:
    """Resolve placeholders in the key at once, and those in the default only when it is needed."""
    split = _separator(inner)
    if split < 0:
        return _replaced(inner, lookup, visiting)
    return _replaced(inner[:split], lookup, visiting) + inner[split:]


def _found(inner: str, lookup: Lookup) -> tuple[str, str | None, str | None]:
    """Return the key, its value and the default: a key may itself hold a colon, so the whole is tried first."""
    whole = lookup(inner)
    if whole is not None:
        return inner, whole, None
    split = _separator(inner)
    if split < 0:
        return inner, None, None
    key = inner[:split].strip()
    return key, lookup(key), inner[split + 1 :]


def _separator(inner: str) -> int:
    """Return the index of the colon before the default, outside nested placeholders, or -1."""
    depth = 0
    for position, character in enumerate(inner):
        if inner.startswith(_OPENING, position):
            depth += 1
        elif character == "}" and depth:
            depth -= 1
        elif character == ":" and not depth:
            return position
    return -1


def _closing(text: str, start: int) -> int:
    depth = 0
    for position in range(start + 2, len(text)):
        if text[position] == "{":
            depth += 1
        elif text[position] == "}":
            if not depth:
                return position
            depth -= 1
    raise InvalidArgumentError(f"{text!r}: the placeholder at {start} has no closing brace")
