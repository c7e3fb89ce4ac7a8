"""Add a string to a list in a manifest, formatted like its neighbour."""

from __future__ import annotations

import re
from typing import Protocol

from capa_codemods.findings import Edit

_REST_OF_LINE = re.compile(r"([ \t]*,)?[ \t]*(?:#[^\r\n]*)?(?=\r?\n)")


class TextFile(Protocol):
    """A manifest as text: places are characters, edits are bytes.

    Attributes:
        source: The text as it is written.
        text: The same, in the same places, as it is given to the reader of the format.
    """

    source: str
    text: str

    def offset(self, at: int) -> int:
        """Return where the character number *at* begins in the bytes."""


class Text(Protocol):
    """One string of one line; *start* and *end* enclose it with its quotes."""

    @property
    def start(self) -> int:
        """Its first character."""

    @property
    def end(self) -> int:
        """The offset after its last character."""


def inserted(file: TextFile, beside: Text, text: str, rule: str) -> list[Edit]:
    """Return the edits that put *text* after the string *beside*: on a separate line if that has one."""
    begin = file.text.rfind("\n", 0, beside.start) + 1
    indent = file.text[begin : beside.start]
    quote = file.text[beside.end - 1]
    end = file.offset(beside.end)
    rest = _REST_OF_LINE.match(file.text, beside.end)
    if indent.strip() or rest is None:
        return [Edit(end, end, f", {quote}{text}{quote}".encode(), rule)]
    newline = "\r\n" if "\r\n" in file.text else "\n"
    line = f"{newline}{file.source[begin : beside.start]}{quote}{text}{quote}"
    line_end = file.offset(rest.end())
    if rest[1]:
        return [Edit(line_end, line_end, f"{line},".encode(), rule)]
    if line_end == end:
        return [Edit(end, end, f",{line}".encode(), rule)]
    return [Edit(end, end, b",", rule), Edit(line_end, line_end, line.encode(), rule)]


def inserted_before(file: TextFile, first: Text, text: str, rule: str) -> list[Edit]:
    """Return the edit that puts *text* before the string *first* of a list: on a separate line if that has one."""
    begin = file.text.rfind("\n", 0, first.start) + 1
    quote = file.text[first.end - 1]
    if file.text[begin : first.start].strip():
        at, new = file.offset(first.start), f"{quote}{text}{quote}, "
    else:
        newline = "\r\n" if "\r\n" in file.text else "\n"
        at, new = file.offset(begin), f"{file.source[begin : first.start]}{quote}{text}{quote},{newline}"
    return [Edit(at, at, new.encode(), rule)]


def replaced(file: TextFile, old: Text, text: str, rule: str) -> list[Edit]:
    """Return the edit that puts *text* in the place of the string *old*, in the same quotes."""
    quote = file.text[old.end - 1]
    return [Edit(file.offset(old.start), file.offset(old.end), f"{quote}{text}{quote}".encode(), rule)]
