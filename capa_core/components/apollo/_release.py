"""Releases: the values of a namespace under the key of their release, from whole answers and from changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from capa_core.blocks.configuration import formats
from capa_core.blocks.configuration.driver import ConfigurationItem, Snapshot
from capa_core.components.apollo._answers import malformed

CONTENT = "content"
"""The key of a document's whole text."""


@dataclass(frozen=True, slots=True)
class Release:
    """The values of one release; *cluster* is the one that has it, or the branch of a gray release."""

    key: str
    cluster: str
    values: Mapping[str, str]


def release_of(body: Any, known: Release | None, place: str) -> Release:
    """Return the release in an answer, which may hold only the changes since *known*.

    Raises:
        UnavailableError: The answer has another shape.
    """
    try:
        if "configurations" in body:
            values = dict(body["configurations"])
        else:
            values = _changed(known, body["configurationChanges"])
        if not all(isinstance(text, str) for text in values.values()):
            raise malformed(place)
        return Release(str(body["releaseKey"]), str(body["cluster"]), values)
    except (TypeError, KeyError, ValueError) as error:
        raise malformed(place) from error


def _changed(known: Release | None, changes: list[dict[str, Any]]) -> dict[str, str]:
    if known is None:
        raise ValueError("changes of a release that was not asked for")
    values = dict(known.values)
    for change in changes:
        if change["configurationChangeType"] == "DELETED":
            values.pop(change["key"], None)
        else:
            values[change["key"]] = change["newValue"]
    return values


def is_document(group: str) -> bool:
    """Return whether Apollo keeps *group* as one text: it has a suffix, and not `.properties`."""
    return formats.suffix_of(group) not in ("", ".properties")


def snapshot_of(release: Release | None, group: str) -> Snapshot:
    """Return the items of a release; of a document its text too.

    Raises:
        SettingsError: The text of a document is malformed.
        MissingExtraError: It is YAML and PyYAML is not installed.
    """
    if release is None:
        return Snapshot({}, "")
    suffix, values, content = formats.suffix_of(group), release.values, None
    if is_document(group):
        content = values.get(CONTENT, "")
        values = formats.items(content, suffix, f"namespace {group!r} of cluster {release.cluster!r}")
    elif suffix:
        content = formats.edited("", suffix, values, group)
    items = {key: ConfigurationItem(key, text, release.key) for key, text in values.items()}
    return Snapshot(items, release.key, content)
