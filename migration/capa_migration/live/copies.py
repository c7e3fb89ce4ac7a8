"""Groups of configuration as they are copied from one place to another: the difference first, then one edit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capa_core.blocks.configuration.formats import items, suffix_of
from capa_migration.errors import OptionsError
from capa_migration.live.values import Change, Place, changes, texts

if TYPE_CHECKING:
    from capa_core.blocks.configuration import Configuration, Snapshot


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a group, wherever it is: its values, and its text if it is a document."""

    values: Mapping[str, str]
    text: str | None = None

    @classmethod
    def of(cls, snapshot: Snapshot) -> Content:
        """Return the content of a group as the engine has it."""
        return cls(texts(snapshot.items), snapshot.content)

    @classmethod
    def of_file(cls, text: str, name: str) -> Content:
        """Return the content of a file.

        Raises:
            OptionsError: Its suffix is none of a format.
            SettingsError: It is malformed; the message names the line.
        """
        suffix = suffix_of(name)
        if not suffix:
            raise OptionsError(f"{name}: its suffix is none of a format, such as .properties or .json")
        return cls(items(text.removeprefix("\ufeff"), suffix, name), text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """The difference that a push makes.

    Attributes:
        changes: In the order of the keys.
        staying: Keys that only the target has, and keeps.
        written: Values to write.
        gone: Keys to remove.
        text: The text of the document to write instead; `None` for keys.
        version: Of the target, as it was compared.
    """

    changes: list[Change]
    staying: list[str]
    written: Mapping[str, str]
    gone: list[str]
    text: str | None
    version: str

    def carry_out(self, target: Configuration, place: Place) -> None:
        """Write the difference in one step.

        Raises:
            ConflictError: The target has changed since it was compared. Nothing was written.
            UnsupportedError: The target cannot write this. Nothing was written.
            UnavailableError: The engine did not answer. All or nothing was written.
        """
        target.edit(self.written, gone=self.gone, content=self.text, if_version=self.version, **place.scope())


def push(source: Content, target: Configuration, place: Place, *, prune: bool) -> Push:
    """Return the difference between *source* and what *target* has at *place* now. Nothing is written.

    Args:
        prune: Whether keys that only the target has are removed.

    Raises:
        OptionsError: One is a document, and the other is not.
        UnavailableError: The engine does not answer.
    """
    snapshot = target.snapshot(**place.scope())
    old = Content.of(snapshot)
    if suffix_of(place.group):
        return _of_document(source, old, snapshot.version, place)
    found = list(changes(old.values, source.values))
    extra = [one.key for one in found if one.new is None]
    shown = [one for one in found if one.new is not None or prune]
    return Push(
        changes=shown,
        staying=[] if prune else extra,
        written=to_write(place, source.values, [one.key for one in shown]),
        gone=extra if prune else [],
        text=None,
        version=snapshot.version,
    )


def to_write(place: Place, values: Mapping[str, str], changed: list[str]) -> dict[str, str]:
    """Return those of *values* that are written when the keys *changed* differ.

    All of them for a variant or an application: where it is not there yet another group serves it, which the first
    write hides.
    """
    whole = bool(changed) and bool(place.label or place.application)
    return {key: value for key, value in values.items() if whole or key in changed}


def _of_document(source: Content, old: Content, version: str, place: Place) -> Push:
    if source.text is None:
        raise OptionsError(
            f"{place.group} is a document, and the source has keys without a text: name a document"
        )
    found = list(changes(old.values, source.values))
    if not found and source.text != old.text:
        found = [Change(key="(text)", old=_size(old.text), new=_size(source.text))]
    return Push(changes=found, staying=[], written={}, gone=[], text=source.text, version=version)


def _size(text: str | None) -> str | None:
    return None if text is None else f"{len(text):,} characters, {text.count(chr(10)):,} lines"
