"""The content of a namespace as ApolloPyClient has it: texts as the values that they look like."""

from __future__ import annotations

import ast
from importlib import import_module
from typing import Any

from capa_core.blocks.configuration import formats
from capa_core.errors import MissingExtraError, SettingsError

PARSED = (".json", ".yaml", ".yml")


def as_content(namespace: str, held: dict[str, str]) -> Any:
    """Return the parsed document, the text of a `.txt`, or key → value.

    Raises:
        SettingsError: The document is malformed; the message names *namespace*.
        MissingExtraError: It is XML and xmltodict is not installed.
    """
    suffix = formats.suffix_of(namespace)
    if not suffix or "content" not in held:
        return {key: value_of(text) for key, text in held.items()}
    if suffix in PARSED:
        return formats.tree(held["content"], suffix, namespace)
    return _xml(namespace, held["content"]) if suffix == ".xml" else held["content"]


def value_of(text: str) -> Any:
    """Return what *text* looks like: a truth value, a number, a list or dict of literals, or the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return _list_or_dict(text)


def _list_or_dict(text: str) -> Any:
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
    return found if isinstance(found, list | dict) else text


def _xml(namespace: str, text: str) -> Any:
    try:
        parser = import_module("xmltodict")
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"Apollo namespace {namespace!r} is XML, which ApolloPyClient reads by the library 'xmltodict'. "
            "Run: pip install xmltodict"
        ) from error
    from xml.parsers.expat import ExpatError

    try:
        return parser.parse(text)
    except ExpatError as error:
        raise SettingsError(f"Apollo namespace {namespace!r} is no XML: {error}") from error
