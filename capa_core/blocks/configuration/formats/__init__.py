"""The text formats of configuration, read in the same way on every engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from capa_core.blocks.configuration.formats import _properties, _structured
from capa_core.blocks.configuration.formats._tree import flatten, put, remove, unflatten
from capa_core.errors import UnsupportedError

__all__ = ["KEYED", "TEXTS", "deleted", "edited", "flatten", "items", "suffix_of", "tree", "unflatten"]

KEYED = (".properties", ".toml", ".json", ".yaml", ".yml")
"""Suffixes of formats that hold keys, in the order in which a group without suffix looks for them."""
TEXTS = (".xml", ".txt")
"""Suffixes of documents that are kept whole and hold no keys."""


def suffix_of(group: str) -> str:
    """Return the suffix that makes *group* a document, or `""`: `a.json` is one, the group `FX.apollo` is not."""
    suffix = PurePosixPath(group).suffix.lower()
    return suffix if suffix in KEYED + TEXTS else ""


def items(text: str, suffix: str, source: str) -> dict[str, str]:
    """Return the flat keys and values of *text*; none for a format without keys.

    Args:
        text: The whole document, without a byte order mark.
        suffix: One of `KEYED`; anything else has no keys.
        source: The name of the document in errors, such as a path.

    Raises:
        SettingsError: The text is malformed; the message names *source* and the line.
        MissingExtraError: It is YAML and PyYAML is not installed.
    """
    if suffix == ".properties":
        return _properties.parse(text, source)
    return _structured.items(text, suffix, source) if suffix in KEYED else {}


def tree(text: str, suffix: str, source: str) -> object:
    """Return the content of *text* with its own nesting and types; of several YAML documents, the last.

    Raises:
        SettingsError: The text is malformed; the message names *source* and the line.
        MissingExtraError: It is YAML and PyYAML is not installed.
    """
    if suffix == ".properties":
        return unflatten(_properties.parse(text, source))
    found = list(_structured.trees(text, suffix, source)) if suffix in KEYED else [text]
    return found[-1] if found else {}


def edited(text: str, suffix: str, changes: Mapping[str, str], source: str) -> str:
    """Return *text* with these values set; all other text, spelling and comments are kept.

    Raises:
        SettingsError: The text is malformed.
        InvalidArgumentError: A key does not fit the nesting of the document.
        UnsupportedError: The format cannot be edited without losing its comments.
    """
    if suffix == ".properties":
        return _properties.edit(text, changes, source)
    document = _editable(text, suffix, source)
    for key, value in changes.items():
        put(document, key, value)
    return _json(document)


def deleted(text: str, suffix: str, keys: Sequence[str], source: str) -> str:
    """Return *text* without these keys; raises as `edited` does."""
    if suffix == ".properties":
        return _properties.without(text, keys, source)
    document = _editable(text, suffix, source)
    for key in keys:
        remove(document, key)
    return _json(document)


def _editable(text: str, suffix: str, source: str) -> object:
    if suffix != ".json":
        raise UnsupportedError(
            f"{source}: single keys of {suffix or 'text'} files cannot be written without losing comments. "
            "Edit the file, save the whole document, or keep the group as .properties or .json."
        )
    return next(_structured.trees(text or "{}", suffix, source))


def _json(document: object) -> str:
    import json

    text = json.dumps(document, ensure_ascii=False, indent=2)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which the document held as an escape
        text = json.dumps(document, indent=2)
    return text + "\n"
