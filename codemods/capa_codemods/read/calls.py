"""Calls and their arguments, in the bytes of a file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from capa_codemods.findings import Edit
from capa_codemods.read.python_file import PythonFile

_GAP = re.compile(rb"(?:[ \t\f\r\n]|\\\r?\n|#[^\r\n]*)*")
_CLOSED = re.compile(_GAP.pattern + rb"\)")
_LINE_END = re.compile(rb"[ \t]*(?:#[^\r\n]*)?(?=\r?\n)")


def calls_in_strings(tree: ast.Module) -> Iterator[int]:
    """Yield the ids of the calls in f-strings, whose places the parser does not know."""
    for string in ast.walk(tree):
        if isinstance(string, ast.JoinedStr):
            yield from (id(node) for node in ast.walk(string) if isinstance(node, ast.Call))


def is_ignored(file: PythonFile, node: ast.stmt | ast.expr, rule: str) -> bool:
    """Return whether a comment on one of the lines of *node* keeps *rule* away: its edits make sense together only."""
    return any(file.ignores(line, rule) for line in range(node.lineno, (node.end_lineno or node.lineno) + 1))


def with_argument(file: PythonFile, call: ast.Call, text: str, rule: str) -> Edit | None:
    """Return the edit that gives *call* the further argument *text*; None if its places cannot be relied on."""
    given: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
    last = max(given, key=lambda one: (one.end_lineno or 0, one.end_col_offset or 0), default=None)
    end = file.places.offset(call.end_lineno or 0, call.end_col_offset or 0) - 1
    if last is None or file.data[end : end + 1] != b")" or isinstance(last, ast.GeneratorExp):
        return None
    after = file.places.offset(last.end_lineno or 0, last.end_col_offset or 0)
    after = _past_parentheses(file.data, after, end)
    gap = _GAP.match(file.data, after, end)
    at = gap.end() if gap else after
    if at == end:
        return Edit(after, after, f", {text}".encode(), rule)
    if file.data[at : at + 1] != b",":
        return None
    return _after_comma(file, last, at + 1, text, rule)


def _past_parentheses(data: bytes, at: int, end: int) -> int:
    """Return where the parentheses around an argument end that itself ends at *at*."""
    while (found := _CLOSED.match(data, at, end)) is not None:
        at = found.end()
    return at


def _after_comma(file: PythonFile, last: ast.expr | ast.keyword, at: int, text: str, rule: str) -> Edit:
    line_end = _LINE_END.match(file.data, at)
    start = file.line_starts[last.lineno - 1]
    before = file.data[start : file.places.offset(last.lineno, last.col_offset)]
    indent = before[: len(before) - len(before.lstrip())]
    if (
        line_end is None or before.strip()
    ):  # a statement behind another in its line has no indentation to follow
        return Edit(at, at, f" {text},".encode(), rule)
    newline = b"\r\n" if b"\r\n" in file.data else b"\n"
    return Edit(line_end.end(), line_end.end(), newline + indent + text.encode() + b",", rule)
