"""Change events and the subscriptions of listeners."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Self

from capa_core.blocks.configuration.driver import Scope, Snapshot
from capa_core.call.traits import blocking


class ChangeKind(Enum):
    """The kind of change of a key."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Change:
    """One key's change; *old* is `None` for a key that was added, *new* for one that was deleted."""

    key: str
    old: str | None
    new: str | None
    kind: ChangeKind


@dataclass(frozen=True, slots=True)
class ChangeEvent:
    """The change of a scope from one snapshot to the next.

    Attributes:
        changes: Key → change, for all keys that changed; empty when only the text of a document did.
    """

    scope: Scope
    old: Snapshot
    new: Snapshot
    changes: Mapping[str, Change]


Listener = Callable[[ChangeEvent], object]


def compare(scope: Scope, old: Snapshot, new: Snapshot) -> ChangeEvent | None:
    """Return the event that leads from *old* to *new*, or `None` if no reader can see a difference."""
    before = {key: item.value for key, item in old.items.items()}
    after = {key: item.value for key, item in new.items.items()}
    changes = {
        key: _change(key, before, after) for key in before | after if before.get(key) != after.get(key)
    }
    if not changes and old.content == new.content:
        return None
    return ChangeEvent(scope, old, new, changes)


def _change(key: str, before: Mapping[str, str], after: Mapping[str, str]) -> Change:
    if key not in before:
        return Change(key, None, after[key], ChangeKind.ADDED)
    if key not in after:
        return Change(key, before[key], None, ChangeKind.DELETED)
    return Change(key, before[key], after[key], ChangeKind.MODIFIED)


@blocking("ConfigurationSubscription")
class Subscription:
    """The subscription of one listener; `close`, or the end of a `with` block, ends it."""

    __slots__ = ("__weakref__", "_closed", "_keys", "_prefixes", "listener")

    def __init__(
        self, listener: Listener, keys: Collection[str] | None, prefixes: Collection[str] | None
    ) -> None:
        self.listener = listener
        self._keys = frozenset(keys or ())
        self._prefixes = tuple(prefixes or ())
        self._closed = False

    def wants(self, event: ChangeEvent) -> bool:
        """Return whether any changed key is one of the keys or starts with one of the prefixes, if any were given."""
        if not self._keys and not self._prefixes:
            return True
        return any(key in self._keys or key.startswith(self._prefixes) for key in event.changes)

    @property
    def closed(self) -> bool:
        """Whether it was ended."""
        return self._closed

    def close(self) -> None:
        """End it: no later event is delivered. A second call does nothing."""
        # No lock: a finalizer may call this in any thread, which may hold any lock. The group drops it later.
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
