"""A nested document as flat keys, by Spring's rules, and back.

    {"db": {"hosts": ["a", "b"]}}  ⇄  {"db.hosts[0]": "a", "db.hosts[1]": "b"}

Source: `org.springframework.beans.factory.config.YamlProcessor.buildFlattenedMap`.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from capa_core.errors import InvalidArgumentError, SettingsError

MOST_ITEMS = 100_000
"""Aliases let a short YAML text stand for more values than fit into memory."""

_STEP = re.compile(r"\[(?P<index>\d+)\]|\.?(?P<name>[^.\[\]]+)|(?P<rest>.+)")


def flatten(tree: Any, source: str) -> dict[str, str]:
    """Return dotted key → text of each leaf; an empty map or list and a null are an empty text.

    Raises:
        SettingsError: There are more than `MOST_ITEMS` leaves, or the nesting is deeper than Python's stack.
    """
    flat: dict[str, str] = {}
    try:
        for key, value in _leaves("", tree):
            flat[key] = value
            if len(flat) > MOST_ITEMS:
                raise SettingsError(f"{source}: more than {MOST_ITEMS} values. Split the document.")
    except RecursionError:
        raise SettingsError(f"{source}: nested too deeply, or a part that contains itself") from None
    return flat


def text_of(leaf: Any) -> str:
    """Return a leaf as the text of an item."""
    if isinstance(leaf, str):
        return leaf
    if leaf is None or leaf in ({}, []):
        return ""
    if hasattr(leaf, "isoformat"):
        return str(leaf.isoformat())
    return json.dumps(leaf) if isinstance(leaf, bool | int | float) else str(leaf)


def unflatten(flat: Mapping[str, str]) -> dict[str, Any]:
    """Return the nested form of *flat*; where a key is both a leaf and a branch, the branch stays."""
    tree: dict[str, Any] = {}
    for key in sorted(flat, key=_in_order):
        _place(tree, key, flat[key])
    return {key: _lists(value) for key, value in tree.items()}


def _in_order(key: str) -> tuple[tuple[int, int, str], ...]:
    """Return *key* as something to sort by, so that `a[10]` comes after `a[9]`."""
    return tuple((0, step, "") if isinstance(step, int) else (1, 0, step) for step in steps(key))


def steps(key: str) -> list[str | int]:
    """Return the names and indices along *key*: `a.b[0]` is `["a", "b", 0]`."""
    found: list[str | int] = [
        int(match["index"]) if match["index"] is not None else match["name"] or match["rest"]
        for match in _STEP.finditer(key)
    ]
    return found or [key]


def put(tree: Any, key: str, text: str) -> None:
    """Set the leaf at *key* in a document to *text*, making branches on the way.

    A leaf that was a number, a truth value or null keeps its type while *text* is one of these; else it is a text.

    Raises:
        InvalidArgumentError: *key* goes through a leaf, beyond the end of a list, or ends at a branch.
    """
    *way, last = steps(key)
    parent = tree
    for step, following in itertools.pairwise([*way, last]):
        parent = _child(parent, step, key, [] if isinstance(following, int) else {})
    old = _child(parent, last, key, None)
    if isinstance(old, dict | list) and old:
        raise InvalidArgumentError(f"{key!r} has values below it. Write those, or the whole document.")
    parent[last] = _typed_like(old, text)


def remove(tree: Any, key: str) -> None:
    """Remove the leaf at *key*, if there is one."""
    *way, last = steps(key)
    try:
        for step in way:
            tree = tree[step]
        if not isinstance(tree[last], dict | list) or not tree[last]:
            del tree[last]
    except (KeyError, IndexError, TypeError):
        return


def _leaves(path: str, node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping) and node:
        for name, value in node.items():
            key = text_of(name)
            yield from _leaves(f"{path}.{key}" if path and not key.startswith("[") else path + key, value)
    elif isinstance(node, list) and node:
        for index, value in enumerate(node):
            yield from _leaves(f"{path}[{index}]", value)
    elif path:
        yield path, text_of(node)


def _place(tree: dict[str | int, Any] | dict[str, Any], key: str, text: str) -> None:
    branch: dict[Any, Any] = tree
    *way, last = steps(key)
    for step in way:
        below = branch.get(step)
        if not isinstance(below, dict):
            below = branch[step] = {}
        branch = below
    if not isinstance(branch.get(last), dict):
        branch[last] = text


def _lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(isinstance(step, int) for step in node):
        return [_lists(node[step]) for step in sorted(node)]
    return {str(step): _lists(value) for step, value in node.items()}


def _child(parent: Any, step: str | int, key: str, fresh: Any) -> Any:
    if isinstance(parent, list) and isinstance(step, int) and step <= len(parent):
        if step == len(parent):
            parent.append(fresh)
        return parent[step]
    if isinstance(parent, dict) and isinstance(step, str):
        return parent.setdefault(step, fresh)
    raise InvalidArgumentError(f"{key!r} does not fit the document: there is no place for {step!r}")


def _typed_like(old: Any, text: str) -> Any:
    if not isinstance(old, bool | int | float):
        return text
    try:
        new = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return new if isinstance(new, bool | int | float) else text
