"""Snapshots with items set or removed, for drivers whose engine keeps a group as a whole."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from capa_core.blocks.configuration import formats
from capa_core.blocks.configuration.driver import ConfigurationItem, Edit, Revision, Scope, Snapshot

NOTHING = Snapshot({}, "")


def with_items(scope: Scope, old: Snapshot, items: Sequence[ConfigurationItem], version: str) -> Snapshot:
    """Return *old* with these items, which get *version*; a document has them in its text.

    Raises:
        InvalidArgumentError: A key does not fit the nesting of the document.
        UnsupportedError: The format of the document cannot be edited without losing its comments.
    """
    now = time.time()
    written = {item.key: replace(item, version=version, changed_at=now) for item in items}
    new = {**old.items, **written}
    return _edited(scope, old, new, version)


def without_keys(scope: Scope, old: Snapshot, keys: Sequence[str], version: str) -> Snapshot:
    """Return *old* without these keys, *old* itself if it has none of them; raises as `with_items` does."""
    kept = {key: item for key, item in old.items.items() if key not in keys}
    return _edited(scope, old, kept, version) if len(kept) < len(old.items) else old


def document(scope: Scope, content: str, version: str) -> Snapshot:
    """Return the document *content*.

    Raises:
        SettingsError: It is malformed for the suffix of the group.
    """
    flat = formats.items(content, formats.suffix_of(scope.group), scope.group)
    now = time.time()
    items = {key: ConfigurationItem(key, text, version, changed_at=now) for key, text in flat.items()}
    return Snapshot(items, version, content)


def changed(scope: Scope, old: Snapshot, change: Edit, version: str) -> Snapshot:
    """Return *old* after *change*, *old* itself if that is none; raises as `with_items` and `document` do."""
    if change.content is not None:
        return document(scope, change.content, version)
    new = with_items(scope, old, change.items, version) if change.items else old
    return without_keys(scope, new, change.gone, version)


def revision(snapshot: Snapshot, version: str) -> Revision:
    """Return *snapshot*, which is written now, as a version of its group."""
    values = {key: item.value for key, item in snapshot.items.items()}
    return Revision(version=version, changed_at=time.time(), values=values, content=snapshot.content)


def _edited(scope: Scope, old: Snapshot, items: Mapping[str, ConfigurationItem], version: str) -> Snapshot:
    if old.content is None:
        return Snapshot(items, version)
    suffix = formats.suffix_of(scope.group)
    values = {key: item.value for key, item in items.items() if item != old.items.get(key)}
    gone = [key for key in old.items if key not in items]
    kept = formats.deleted(old.content, suffix, gone, scope.group)
    return Snapshot(items, version, formats.edited(kept, suffix, values, scope.group))
