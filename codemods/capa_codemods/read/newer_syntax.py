"""Read Python that is newer than the running interpreter, in spellings of the same length that the older one knows.

    lazy import a                    →  ...;import a                  the marker leaves the tree again
    type X[T] = list[T]              →  ...;(X  ) = list[T]
    def f[T](x), class A[T](B)       →  def f(   x), class A(   B)
    except A, B:                     →  except A| B:
    [*x for x in y]                  →  [ x for x in y]
    t"{x}"                           →  f"{x}"
    f"{x["a"]:{y}} b"                →  (  x["a"], y,  )              a string that the older one cannot read

Every name stays at its place, so that the file can be edited by this tree, and the result be compared with it. The
spellings are never written to a file.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

from capa_codemods.read.document import starts_of_lines
from capa_codemods.read.tokens import CLOSING, OPENING, BrokenError, Field, Token, Tokens

# A text that holds none of this is no newer than Python 3.11, but broken: no need to look at its tokens.
_NEWER = re.compile(
    rb"""(?:^|\xef\xbb\xbf)[ \t\f]*type[ \t\f\\] | \blazy[ \t\f\\]
    | \b(?:def|class)[ \t\f\\]+[\w\x80-\xff]+[ \t\f]*\[ | \bexcept\b[^\r\n]*, | [\[({][\s\\]*\*
    | \b[rR]?[fFtT][rR]?["']""",
    re.MULTILINE | re.VERBOSE,
)
_BOM = b"\xef\xbb\xbf"
_MARKER = b"...;"
"""In place of a word of four letters before a statement."""


class _Spelling(NamedTuple):
    """The older *text* for what begins at *start*; both are equally long."""

    start: int
    text: bytes


def tree_of_newer(data: bytes) -> ast.Module | None:
    """Return the syntax tree of *data*, read in an older spelling; None if nothing in it is known to be newer.

    Raises:
        SyntaxError: There is something else in it that this interpreter does not know.
    """
    if not _NEWER.search(data):
        return None
    read = Tokens(data)
    try:
        tokens = read.all()
    except BrokenError:
        return None
    lazy = [token.start for token, after in pairwise(tokens) if _is_lazy(token, after)]
    found = [*_strings(tokens, read, data), *(_Spelling(start, _MARKER) for start in lazy)]
    found += [*_types(tokens, data), *_exceptions(tokens), *_unpackings(tokens)]
    if not found:
        return None
    spelt = bytearray(data)
    for start, text in found:
        spelt[start : start + len(text)] = text
    tree = ast.parse(bytes(spelt))
    _mark_lazy(tree, {_place(start, data) for start in lazy})
    return tree


def _mark_lazy(tree: ast.Module, markers: set[tuple[int, int]]) -> None:
    """Take the *markers* out of *tree*, and mark the imports behind them as an interpreter does that knows them."""
    for node in ast.walk(tree) if markers else ():
        for field in ("body", "orelse"):
            block = getattr(node, field, None)
            if isinstance(block, list):
                block[:] = _without_markers(block, markers)


def _without_markers(block: list[ast.stmt], markers: set[tuple[int, int]]) -> list[ast.stmt]:
    kept: list[ast.stmt] = []
    for statement in block:
        marker = kept[-1] if kept else None
        if isinstance(marker, ast.Expr) and (marker.lineno, marker.col_offset) in markers:
            kept.pop()
            statement.lineno, statement.col_offset = marker.lineno, marker.col_offset
            statement.is_lazy = 1  # type: ignore[attr-defined]  # a field of Python 3.15
        kept.append(statement)
    return kept


def _place(start: int, data: bytes) -> tuple[int, int]:
    """Return the parser's line and column of the byte at *start*."""
    starts = starts_of_lines(data)
    line = bisect_right(starts, start)
    bom = len(_BOM) if line == 1 and data.startswith(_BOM) else 0
    return line, start - starts[line - 1] - bom


def _is_lazy(token: Token, after: Token) -> bool:
    return token.text == b"lazy" and after.text in (b"import", b"from") and token.depth == 0


def _types(tokens: Sequence[Token], data: bytes) -> Iterator[_Spelling]:
    """Yield spellings without type parameters, and of aliases as assignments."""
    for at, (first, name, after) in enumerate(zip(tokens, tokens[1:], tokens[2:], strict=False)):
        if name.kind != "name" or after.text not in (b"[", b"="):
            continue
        closing = _closing(tokens, at + 2) if after.text == b"[" else None
        if first.text == b"type" and _begins(tokens, at):
            yield _Spelling(first.start, _MARKER)
            if closing is not None:
                yield _Spelling(first.end, b"(")
                yield _Spelling(after.start, _blank(data[after.start : tokens[closing].start]) + b")")
        elif first.text in (b"def", b"class") and closing is not None:
            beyond = tokens[closing + 1]
            if beyond.text == b"(":
                yield _Spelling(after.start, b"(" + _blank(data[after.end : beyond.end]))
            elif first.text == b"class":
                yield _Spelling(after.start, b"(" + _blank(data[after.end : tokens[closing].start]) + b")")


def _exceptions(tokens: Sequence[Token]) -> Iterator[_Spelling]:
    """Yield spellings of several exceptions after `except` without the parentheses around them."""
    for at, token in enumerate(tokens):
        if token.text == b"except" and _begins(tokens, at):
            for number in range(at + 1, len(tokens) - 1):
                one = tokens[number]
                if one.kind == "newline" or (one.text, one.depth) == (b":", token.depth):
                    break
                if (one.text, one.depth) == (b",", token.depth):
                    yield _Spelling(one.start, b" " if tokens[number + 1].text == b":" else b"|")


def _unpackings(tokens: Sequence[Token]) -> Iterator[_Spelling]:
    """Yield spellings of comprehensions that unpack their items."""
    for at, (opening, star) in enumerate(pairwise(tokens)):
        if opening.text in OPENING and star.text == b"*":
            inside = tokens[at + 1 : _closing(tokens, at)]
            words = [one.text for one in inside if one.depth == opening.depth + 1]
            if b"for" in words and b"," not in words[: words.index(b"for")]:
                yield from (_Spelling(one.start, b" ") for one in inside[:2] if one.text == b"*")


def _strings(tokens: Sequence[Token], read: Tokens, data: bytes) -> Iterator[_Spelling]:
    """Yield spellings of the strings with fields that this interpreter cannot read: literals side by side are one."""
    for kind, group in groupby(tokens, key=lambda token: token.kind):
        run = list(group)
        formatted = [token for token in run if token.start in read.fields] if kind == "string" else []
        if not formatted:
            continue
        templates = [one for one in map(_template, formatted) if one is not None]
        if _is_readable(run, templates, data):
            yield from templates
            continue
        fields = [field for string in formatted for field in _fields(read.fields[string.start])]
        yield _tuple(run[0].start, run[-1].end, fields, data)
        for field in fields:
            yield from _strings(field.tokens, read, data)


def _template(string: Token) -> _Spelling | None:
    prefix = re.split(rb"[\"']", string.text, maxsplit=1)[0]
    at = prefix.lower().find(b"t")
    return _Spelling(string.start + at, b"f") if at >= 0 else None


def _is_readable(run: Sequence[Token], templates: Iterable[_Spelling], data: bytes) -> bool:
    start = run[0].start
    text = bytearray(data[start : run[-1].end])
    for one in templates:
        text[one.start - start] = ord(one.text)
    try:
        ast.parse(b"(" + text + b"\n)")
    except (SyntaxError, ValueError):
        return False
    return True


def _fields(fields: Iterable[Field]) -> Iterator[Field]:
    for field in fields:
        yield field
        yield from _fields(field.inner)


def _tuple(start: int, end: int, fields: Iterable[Field], data: bytes) -> _Spelling:
    """Return the spelling of the strings from *start* to *end* as a tuple of their fields."""
    text = bytearray(_blank(data[start:end]))
    text[0], text[-1] = b"()"
    for field in fields:
        expression = slice(field.start + 1 - start, field.stop - start)
        text[expression] = data[field.start + 1 : field.stop]
        text[field.stop - start] = ord(",")
    return _Spelling(start, bytes(text))


def _begins(tokens: Sequence[Token], at: int) -> bool:
    """Return whether token number *at* begins a statement."""
    return at == 0 or tokens[at - 1].kind == "newline" or tokens[at - 1].text in (b";", b":")


def _closing(tokens: Sequence[Token], at: int) -> int | None:
    """Return the number of the token that closes bracket number *at*; None if that is the last token, or missing."""
    depth = tokens[at].depth
    numbers = range(at + 1, len(tokens) - 1)
    return next((one for one in numbers if tokens[one].depth == depth and tokens[one].text in CLOSING), None)


def _blank(text: bytes) -> bytes:
    return re.sub(rb"[^\r\n]", b" ", text)
