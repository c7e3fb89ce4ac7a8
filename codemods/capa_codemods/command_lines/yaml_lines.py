"""Read the commands in YAML line by line: templates with `{{ … }}` are no YAML, and hold commands all the same.

Known are plain, quoted, folded and literal texts, lists in brackets, lists of lines and mappings in braces. `command`
and `args` of one container are one command, and so are `entrypoint` and `command`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from capa_codemods.command_lines.found import Statement

_KEY = re.compile(
    r"^(?P<before>[ \t]*(?:-[ \t]+)*)(?P<key>[\w./-]+|\"[\w./ -]+\")[ \t]*:(?:[ \t]+(?P<value>.*))?$"
)
_ITEM = re.compile(r"^(?P<before>[ \t]*-[ \t]+)(?P<value>.*)$")
_BLOCK = re.compile(r"[|>][+-]?\d?[+-]?$")
_WORD = re.compile(r"""\"((?:\\.|[^"\\])*)\"|'((?:''|[^'])*)'|([^\s,\[\]"'][^,\[\]]*)""")
_PAIR = re.compile(
    r"""(?P<key>[\w./-]+|\"[\w./ -]+\")\s*:\s+(?P<value>\"(?:\\.|[^"\\])*\"|'(?:''|[^'])*'|\[[^\]]*\]|[^,{}\[\]]+)"""
)
# An anchor or a tag before a value.
_PROPERTIES = re.compile(r"^(?:[&!][^\s,\[\]{}]*(?:\s+|$))+")
_FLOW = re.compile(r"\{(?!\{)")
_COMMENT = re.compile(r"(?:^|[ \t])#.*$")

_WORDS = ("entrypoint", "command", "args")
"""Keys whose lists are the words of one command, in the order in which they make one."""


class _Value(NamedTuple):
    """The value behind a key or a dash: a text, or words; *end* is the number of the line after it."""

    line: int
    end: int
    text: str = ""
    words: tuple[str, ...] = ()
    is_literal: bool = False


def statements(text: str, prose: Collection[str]) -> Iterator[Statement]:
    """Yield the possible commands in *text*; the values of the keys *prose* are for people."""
    lines = text.splitlines()
    parts: dict[str, _Value] = {}
    column = at = 0
    while at < len(lines):
        row = _COMMENT.sub("", lines[at])
        indent = len(row) - len(row.lstrip())
        found = _KEY.match(row) or _ITEM.match(row)
        if parts and row.strip() and (indent < column or (found and "-" in found["before"][column:])):
            yield from _joined(parts)
            parts = {}
        if found is None:
            yield Statement(at + 1, row.strip())
            at += 1
            continue
        key = found.groupdict().get("key") or ""
        key = key.strip('"')
        value = _value(lines, at, len(found["before"]), found["value"] or "", key)
        if key in _WORDS:
            if key in parts:
                yield from _joined(parts)
                parts = {}
            parts[key], column = value, len(found["before"])
        elif key.rpartition("/")[2] not in prose:
            yield from _in_flow(value, prose) if _FLOW.match(value.text) else _apart(value)
        at = max(value.end, at + 1)
    yield from _joined(parts)


def _joined(parts: dict[str, _Value]) -> Iterator[Statement]:
    """Yield the one command that *parts* of a container make."""
    values = [parts[key] for key in _WORDS if key in parts]
    if not values:
        return
    if len(values) == 1 and not values[0].words:
        yield from _apart(values[0])
    elif any(value.words for value in values):
        words: list[str] = []
        for value in values:
            # What a shell reads behind `-c` is one word; compose splits any other text.
            is_script = bool(words) and words[-1].startswith("-") and words[-1].endswith("c")
            words += value.words or ([value.text] if is_script else value.text.split())
        yield Statement(values[0].line, words=tuple(words))
    else:
        yield Statement(values[0].line, " ".join(value.text for value in values))


def _apart(value: _Value) -> Iterator[Statement]:
    if value.words:
        yield Statement(value.line, words=value.words)
    elif value.is_literal:
        number = value.line + 1
        for line in re.sub(r"\\\n", "  ", value.text).splitlines():
            yield Statement(number, line.strip())
            number += 1
    elif value.text:
        yield Statement(value.line, value.text)


def _in_flow(value: _Value, prose: Collection[str]) -> Iterator[Statement]:
    """Yield the possible commands in a mapping in braces."""
    parts: dict[str, _Value] = {}
    for found in _PAIR.finditer(value.text):
        key, text = found["key"].strip('"'), found["value"].strip()
        is_list = text.startswith("[")
        held = value._replace(
            text="" if is_list else _unquoted(text), words=tuple(_words(text) if is_list else ())
        )
        if key in _WORDS:
            parts[key] = held
        elif key not in prose:
            yield from _apart(held)
    yield from _joined(parts)


def _value(lines: list[str], at: int, column: int, value: str, key: str) -> _Value:
    value = _PROPERTIES.sub("", value.strip())
    if _BLOCK.fullmatch(value):
        end, block = _deeper(lines, at + 1, _indent(lines[at]))
        is_literal = value.startswith("|")
        text = "\n".join(block) if is_literal else " ".join(part.rstrip("\\") for part in block)
        return _Value(at + 1, end, text, is_literal=is_literal)
    if value.startswith("["):
        end = at + 1
        while value.count("[") > value.count("]") and end < len(lines):
            value, end = f"{value} {_COMMENT.sub('', lines[end]).strip()}", end + 1
        return _Value(at + 1, end, words=tuple(_words(value)))
    if not value and key in _WORDS:
        return _listed(lines, at, column)
    if not value:
        return _Value(at + 1, at + 1)
    end, more = _deeper(lines, at + 1, column - 1 if value[0] in "\"'" else column)
    if any(_KEY.match(part) or part.startswith("- ") for part in more):
        end, more = at + 1, []
    return _Value(at + 1, end, _unquoted(" ".join([value, *more])))


def _listed(lines: list[str], at: int, column: int) -> _Value:
    """Return the words that follow the key in line *at*, one an item."""
    words: list[str] = []
    end = at + 1
    while end < len(lines):
        row = _COMMENT.sub("", lines[end])
        found = _ITEM.match(row)
        if not row.strip():
            end += 1
        elif found and _indent(row) >= column and (item := found["value"].strip()) and not _is_template(item):
            value = _value(lines, end, len(found["before"]), item, "")
            words += value.words or ([value.text] if value.text else [])
            end = max(value.end, end + 1)
        elif _is_template(row.strip()):
            end += 1
        else:
            break
    return _Value(at + 1, end, words=tuple(words))


def _deeper(lines: list[str], at: int, column: int) -> tuple[int, list[str]]:
    """Return the number of the line after those that are indented deeper than *column*, and these lines."""
    end = at
    while end < len(lines) and (not lines[end].strip() or _indent(lines[end]) > column):
        end += 1
    return end, [line.strip() for line in lines[at:end] if line.strip()]


def _words(flow: str) -> Iterator[str]:
    for double, single, plain in _WORD.findall(flow):
        yield double.replace('\\"', '"') or single.replace("''", "'") or plain.strip()


def _unquoted(text: str) -> str:
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1].replace('\\"', '"') if is_quoted else text


def _is_template(item: str) -> bool:
    return item.startswith(("{{-", "{{ if", "{{ end", "{{ range", "{{ with", "{{ else"))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
