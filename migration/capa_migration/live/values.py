"""Configuration as an operator looks at it: each value with its origin, secrets hidden, groups compared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capa_core.blocks.configuration import Configuration, ConfigurationItem

MASK = "********"
_SECRET = re.compile(
    r"passw|passphrase|secret|token|credential|private[-_.]?key|api[-_.]?key|access[-_.]?key", re.IGNORECASE
)
_IN_ADDRESS = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*(?=@)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The group that is meant: application and label are `""` for the component's own and the default one."""

    application: str = ""
    group: str = "application"
    label: str = ""

    def scope(self) -> dict[str, str]:
        """Return the keyword arguments of the calls of the block."""
        return {"application": self.application, "group": self.group, "label": self.label}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One key that differs: *old* or *new* is `None` where it is missing."""

    key: str
    old: str | None
    new: str | None


class SecretText(str):
    """A value that the engine itself keeps as a secret."""

    __slots__ = ()


def read(configuration: Configuration, place: Place, keys: Sequence[str] = ()) -> dict[str, str]:
    """Return the present values of the group, or of *keys* in it, in the order of their names.

    One that the engine keeps as a secret is a `SecretText`, which `masked` knows.

    Raises:
        UnavailableError: The engine does not answer, and nothing was read before.
    """
    found = configuration.get(keys or None, **place.scope())
    return texts({key: found[key] for key in sorted(found)})


def texts(items: Mapping[str, ConfigurationItem]) -> dict[str, str]:
    """Return key → value, each that the engine keeps as a secret as `SecretText`."""
    return {key: SecretText(item.value) if item.secret else item.value for key, item in items.items()}


def origin(configuration: Configuration, place: Place) -> str:
    """Return where the values of the group come from, as the engine names it; the component's place if it cannot.

    Raises:
        UnavailableError: The engine does not answer.
    """
    from capa_core.blocks.configuration.driver import ConfigurationFeature, Scope

    if configuration.features[ConfigurationFeature.INSPECT]:
        found = {status.scope: status.origin for status in configuration.inspect()}
        for candidate in Scope(place.application, place.group, place.label).candidates():
            if candidate in found:
                return found[candidate]
    return configuration.place


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    """Yield the keys whose values differ, in the order of their names."""
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            yield Change(key=key, old=old.get(key), new=new.get(key))


def masked(key: str, value: str) -> str:
    """Return *value*, or the mask if the engine or *key* tells of a secret; passwords in addresses are masked."""
    is_secret = isinstance(value, SecretText) or _SECRET.search(key)
    return MASK if is_secret else _IN_ADDRESS.sub(MASK, value)
