"""capa.toml: add the settings that rules need; comments, order and present settings are kept.

    [state.cache]                          →  [state.cache]
    driver = "redis"  # the old one           legacy = ["redis://redis.internal:6379"]
                                              driver = "redis"  # the old one

A missing table is added at the end, a missing file is created. A table that has another value for a key is left as it
is. The result must be TOML that holds exactly the present settings and those that were added.
"""

from __future__ import annotations

import codecs
import copy
import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from capa_codemods.errors import UnreadableError
from capa_codemods.findings import Finding, Outcome, Setting
from capa_codemods.project import CAPA_TOML
from capa_codemods.read.document import change_of, decoded, starts_of_lines
from capa_codemods.read.files import digest, read_file
from capa_codemods.write.difference import edits_between
from capa_codemods.write.splice import splice

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_HEADER = r"^[ \t]*\[[ \t]*{}[ \t]*\][ \t]*(?:#[^\r\n]*)?(?=\r?$)"
_LIST = r"^[ \t]*{}[ \t]*=[ \t]*\[([ \t]*\r?\n[ \t]*)?"


class CapaTomlPlan(NamedTuple):
    """The plan for a capa.toml: its outcome, None if nothing changes, and the settings that it cannot hold."""

    outcome: Outcome | None
    refused: frozenset[Setting] = frozenset()


def plan_capa_toml(root: str, outcomes: Iterable[Outcome]) -> CapaTomlPlan:
    """Return the plan for the capa.toml of the tree at *root*, with the settings of *outcomes*."""
    settings = [setting for outcome in sorted(outcomes) for setting in outcome.settings]
    if not settings:
        return CapaTomlPlan(None)
    try:
        data = _read(f"{root}/{CAPA_TOML}")
        text = decoded((data or b"").removeprefix(codecs.BOM_UTF8))
        tree = tomllib.loads(text)
    except (OSError, ValueError, RecursionError, UnreadableError) as error:
        reason = f"cannot be read, and {len(settings)} settings are to be added: {error}"
        failed = Outcome(CAPA_TOML, "failed", reason=reason, next_step="correct it and run again")
        return CapaTomlPlan(failed, frozenset(settings))
    return _made(data, text, tree, settings)


def _read(path: str) -> bytes | None:
    data = read_file(path)
    if data is None and os.path.lexists(path):
        raise UnreadableError("it is a link, or no file", next_step="replace it by a file")
    return data


def _made(data: bytes | None, text: str, tree: dict[str, Any], settings: Sequence[Setting]) -> CapaTomlPlan:
    now, rules = text, []
    refused: dict[Setting, Finding] = {}
    for setting in settings:
        if setting.unless_present and _at(tree, setting.table) is not None:
            continue
        if key := _contradicted(tree, setting):
            refused[setting] = _by_hand(setting, f"the table has another {key}")
            continue
        wanted = _wanted(tree, setting)
        if wanted == tree:
            continue
        after = next((new for new in _tries(now, tree, setting) if _reads_as(new, wanted)), None)
        if after is None:
            refused[setting] = _by_hand(setting, "they fit no place")
        else:
            now, tree = after, wanted
            rules.append(setting.rule)
    return CapaTomlPlan(_outcome(data, now, rules, list(refused.values())), frozenset(refused))


def _outcome(
    data: bytes | None, now: str, rules: Sequence[str], findings: Sequence[Finding]
) -> Outcome | None:
    if not rules:
        return Outcome(CAPA_TOML, "clean", findings=tuple(findings)) if findings else None
    before = data or b""
    mark = codecs.BOM_UTF8 if before.startswith(codecs.BOM_UTF8) else b""
    edits = tuple(edits_between(before, mark + now.encode(), rules[0]))
    digests = ("" if data is None else digest(data), digest(splice(before, edits)))
    starts = starts_of_lines(before)
    changes = tuple(change_of(before, starts, edit) for edit in edits)
    return Outcome(CAPA_TOML, "changed", edits, changes, tuple(findings), digests)


def _contradicted(tree: dict[str, Any], setting: Setting) -> str | None:
    """Return a key of *setting* that has another value in *tree*: then the table is about something else."""
    table = _at(tree, setting.table) or {}
    single = ((key, value) for key, value in setting.values if not isinstance(value, (list, tuple)))
    return next((key for key, value in single if table.get(key, value) != value), None)


def _wanted(tree: dict[str, Any], setting: Setting) -> dict[str, Any]:
    """Return *tree* with *setting* in it."""
    result = copy.deepcopy(tree)
    table = result
    for key in setting.table:
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            return tree  # no table is there, which is reported when Capa reads the file
    is_new = setting.table and _at(tree, setting.table) is None
    for key, value in setting.values:
        if isinstance(value, (list, tuple)):
            held = table.get(key, [])
            held = held if isinstance(held, list) else [held]
            table[key] = [*held, *(item for item in value if item not in held)]
        elif is_new:
            table[key] = value
    return result


def _tries(text: str, tree: dict[str, Any], setting: Setting) -> Iterator[str]:
    """Yield texts that may be *text* with *setting*; their data is still to be compared."""
    newline = "\r\n" if "\r\n" in text else "\n"
    table = _at(tree, setting.table)
    if table is None:
        lines = [f"[{'.'.join(map(_key, setting.table))}]"]
        lines += [f"{_key(key)} = {_value(value)}" for key, value in setting.values]
        gap = newline * (2 if text and not text.endswith(("\n", "\r")) else 1) if text else ""
        yield f"{text}{gap}{newline.join(lines)}{newline}"
        return
    for found in re.finditer(_HEADER.format(_path(setting.table)), text, re.MULTILINE):
        for key, value in setting.values:
            if isinstance(value, (list, tuple)):
                missing = [_value(item) for item in value if item not in table.get(key, [])]
                yield from _with_items(text, found.end(), key, missing, newline)


def _with_items(text: str, at: int, key: str, items: Sequence[str], newline: str) -> Iterator[str]:
    """Yield *text* with *items* in the list *key* of the table whose header ends at *at*."""
    listed = ", ".join(items)
    opened = re.compile(_LIST.format(re.escape(_key(key))), re.MULTILINE).search(text, at)
    if opened:
        is_empty = text[opened.end() :].lstrip().startswith("]")
        between = "" if is_empty else f",{opened[1] or ' '}"
        yield f"{text[: opened.end()]}{listed}{between}{text[opened.end() :]}"
    yield f"{text[:at]}{newline}{_key(key)} = [{listed}]{text[at:]}"


def _reads_as(text: str, wanted: dict[str, Any]) -> bool:
    try:
        return bool(_unordered(tomllib.loads(text)) == _unordered(wanted))
    except ValueError:
        return False


def _unordered(value: Any) -> Any:
    """Return *value* so that lists of the same items are equal: the place of a new item does not matter."""
    if isinstance(value, dict):
        return {key: _unordered(item) for key, item in value.items()}
    return sorted(map(repr, value)) if isinstance(value, list) else repr(value)


def _at(tree: Any, path: Sequence[str]) -> dict[str, Any] | None:
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree if isinstance(tree, dict) else None


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def _path(table: Sequence[str]) -> str:
    return r"[ \t]*\.[ \t]*".join(rf"[\"']?{re.escape(key)}[\"']?" for key in table)


def _value(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _by_hand(setting: Setting, why: str) -> Finding:
    values = ", ".join(f"{key} = {_value(value)}" for key, value in setting.values)
    message = f"[{'.'.join(setting.table)}] did not get {values}: {why}"
    return Finding(setting.rule, 1, "warning", message, "add it by hand")
