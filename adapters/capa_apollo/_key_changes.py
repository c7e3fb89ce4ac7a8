"""The changes of keys from one content of a namespace to the next, in the order in which listeners are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

ADDED, MODIFIED, DELETED = "add", "update", "delete"
_NONE = object()


class KeyChange(NamedTuple):
    """One key's change; *old* is `None` for a key that was added, *new* for one that was deleted.

    Attributes:
        action: `add`, `update` or `delete`, in the words of the Python clients.
    """

    action: str
    key: str
    old: Any
    new: Any


def key_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[KeyChange]:
    """Yield the changes from *old* to *new*: those of old keys first, then added ones."""
    for key, before in old.items():
        after = new.get(key, _NONE)
        if after is _NONE:
            yield KeyChange(DELETED, key, before, None)
        elif after != before:
            yield KeyChange(MODIFIED, key, before, after)
    for key, after in new.items():
        if key not in old:
            yield KeyChange(ADDED, key, None, after)
