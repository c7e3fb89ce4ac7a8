"""The tokens of Python of any version, as far as that can be known without its grammar.

The standard tokenizer knows the strings of the interpreter that runs it: an older one ends `f"{x["a"]}"` at the wrong
quote. Here the fields of such a string are tokens of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    rb"""(?P<gap>(?:[ \t\f]|\\(?:\r\n|\r|\n)|\#[^\r\n]*)+)
    |(?P<newline>\r\n|\r|\n)
    |(?P<string>[A-Za-z]{0,2}("{3}|'{3}|"|'))
    |(?P<name>[A-Za-z_\x80-\xff][\w\x80-\xff]*)
    |(?P<number>\d[\w.]*)
    |(?P<operator>.)""",
    re.VERBOSE | re.DOTALL,
)
_PLAIN = {
    b'"': re.compile(rb'(?:[^"\\\r\n]|\\(?:\r\n|.))*"', re.DOTALL),
    b"'": re.compile(rb"(?:[^'\\\r\n]|\\(?:\r\n|.))*'", re.DOTALL),
    b'"""': re.compile(rb'(?:[^"\\]|\\.|"(?!""))*"{3}', re.DOTALL),
    b"'''": re.compile(rb"(?:[^'\\]|\\.|'(?!''))*'{3}", re.DOTALL),
}
# The text of a string with fields, up to one of them or to a quote; in one that is not raw, `\N{DASH}` is a letter.
_TEXT = re.compile(rb"(?:\{\{|\}\}|\\[^{}]|[^{}\\'\"])*", re.DOTALL)
_LETTERS = re.compile(rb"(?:\\N\{[^}]*\}|\{\{|\}\}|\\[^{}]|[^{}\\'\"])*", re.DOTALL)
_FORMAT = re.compile(rb"[^{}]*")
_CONVERSION = re.compile(rb"!\s*\w+\s*")
_COMPARED = b"=!<>"
_MAX_DEPTH = 200
"""Of brackets in brackets, as for Python's parser."""
_BOM = b"\xef\xbb\xbf"

OPENING = frozenset({b"(", b"[", b"{"})
CLOSING = frozenset({b")", b"]", b"}"})


class Token(NamedTuple):
    """One token.

    Attributes:
        kind: `name`, `string`, `number`, `operator` (one letter of it), or `newline`, which ends a statement.
        depth: Number of brackets around it; an opening and its closing bracket have the same.
    """

    kind: str
    text: bytes
    start: int
    end: int
    depth: int


class Field(NamedTuple):
    """One field of a string: `{`, an expression, perhaps a conversion and a format, `}`.

    Attributes:
        start: Of its `{`.
        stop: Where the expression ends, without the `=` that repeats it.
        end: Behind its `}`.
        inner: The fields in its format.
        tokens: Those of the expression.
    """

    start: int
    stop: int
    end: int
    inner: tuple[Field, ...]
    tokens: tuple[Token, ...]


class BrokenError(ValueError):
    """A string does not end, or brackets are nested too deeply, so the text is no Python of any version."""


class Tokens:
    """The tokens of one text.

    Attributes:
        fields: Start of a string → its fields; of no string without any.
    """

    def __init__(self, data: bytes) -> None:
        """Prepare to read *data*."""
        self._data = data
        self.fields: dict[int, tuple[Field, ...]] = {}

    def all(self) -> list[Token]:
        """Return the tokens of the text; those in the fields of strings are in `fields`.

        Raises:
            BrokenError: A string does not end, or brackets are nested too deeply.
        """
        return list(self._tokens(len(_BOM) if self._data.startswith(_BOM) else 0, in_field=False))

    def _tokens(self, at: int, *, in_field: bool) -> Iterator[Token]:
        """Yield the tokens from *at* to the end of the text; of a field to its end, which is the last one."""
        depth = 0
        while found := _TOKEN.match(self._data, at):
            kind, start = found.lastgroup or "", found.start()
            at = self._end_of_string(found) if kind == "string" else found.end()
            text = self._data[start:at]
            ends = in_field and depth == 0 and self._ends_field(text, start)
            depth -= text in CLOSING and not ends
            if ends or not (kind == "gap" or (kind == "newline" and (depth > 0 or in_field))):
                yield Token(kind, text, start, at, depth)
            if ends:
                return
            depth += text in OPENING
            if depth > _MAX_DEPTH:
                raise BrokenError

    def _ends_field(self, text: bytes, at: int) -> bool:
        return text in (b"}", b":") or (text == b"!" and self._data[at + 1 : at + 2] != b"=")

    def _end_of_string(self, opened: re.Match[bytes]) -> int:
        quote = opened[4]
        prefix = opened["string"].removesuffix(quote).lower()
        if b"f" in prefix or b"t" in prefix:
            fields, end = self._fields(opened.end(), quote, is_raw=b"r" in prefix)
            self.fields[opened.start()] = tuple(fields)
            return end
        closed = _PLAIN[quote].match(self._data, opened.end())
        if closed is None:
            raise BrokenError
        return closed.end()

    def _fields(self, at: int, quote: bytes, *, is_raw: bool) -> tuple[list[Field], int]:
        """Return the fields of a string whose text begins at *at*, and where the string ends."""
        found: list[Field] = []
        text = _TEXT if is_raw else _LETTERS
        while at < len(self._data):
            passed = text.match(self._data, at)
            at = passed.end() if passed else at
            if self._data.startswith(quote, at):
                return found, at + len(quote)
            if self._data.startswith(b"{", at):
                found.append(self._field(at))
                at = found[-1].end
            else:
                at += 1  # another quote, or a backslash before a brace
        raise BrokenError

    def _field(self, start: int) -> Field:
        tokens = list(self._tokens(start + 1, in_field=True))
        if not tokens or not self._ends_field(tokens[-1].text, tokens[-1].start):
            raise BrokenError
        stop = at = tokens.pop().start
        if tokens and tokens[-1].text == b"=" and self._data[tokens[-1].start - 1] not in _COMPARED:
            stop = tokens.pop().start
        if converted := _CONVERSION.match(self._data, at):
            at = converted.end()
        inner, end = self._format(at + 1) if self._data.startswith(b":", at) else ((), at)
        if not self._data.startswith(b"}", end):
            raise BrokenError
        return Field(start, stop, end + 1, inner, tuple(tokens))

    def _format(self, at: int) -> tuple[tuple[Field, ...], int]:
        """Return the fields in the format that begins at *at*, and where its `}` is."""
        found: list[Field] = []
        while passed := _FORMAT.match(self._data, at):
            if not self._data.startswith(b"{", passed.end()):
                return tuple(found), passed.end()
            found.append(self._field(passed.end()))
            at = found[-1].end
        raise BrokenError
