"""Manifests with one requirement a line."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from capa_codemods.manifests.pins import Manifest, Pin
from capa_codemods.manifests.requirement import read_requirement
from capa_codemods.read.document import decoded
from capa_codemods.read.encodings import text_in
from capa_codemods.sdks.names import CAPA_DISTRIBUTION, Names

_MARKS = re.compile(rb"[ \t]*(?:-[ \t]+)?[\"']?")


class Line(NamedTuple):
    """One requirement of a list, by its place in the bytes.

    Attributes:
        text: The requirement, without list marks, comments and line ends.
        start: Where *text* begins.
        end: Where its line ends, with the lines that continue it; the line end is not part of it.
        lead: The beginning of a line next to it: indentation, a dash.
        is_host: Whether a line may be added after it, and it may be changed if it is Capa's.
    """

    text: str
    start: int
    end: int
    lead: str = ""
    is_host: bool = True


class Doubt(NamedTuple):
    """The *reason* why a list is not edited, and the next step then."""

    reason: str
    step: str = "add it by hand"


class Listed(NamedTuple):
    """One list of requirements.

    Attributes:
        lines: Its requirements.
        doubt: Why it is not edited; None if it is.
    """

    lines: tuple[Line, ...]
    doubt: Doubt | None = None


class LineManifest(Manifest):
    """A manifest whose lists have one requirement a line."""

    def __init__(self, path: str, data: bytes) -> None:
        """Read *data*.

        Raises:
            UnreadableError: It is not UTF-8.
        """
        super().__init__(path, data)
        self.text = decoded(data)

    def offset(self, at: int) -> int:
        """Return where the character number *at* begins in the bytes."""
        return len(self.text[:at].encode())

    def together(self, line: Line, lines: Sequence[Line]) -> Sequence[Line]:
        """Return those of *lines* around *line* that no blank line, comment or other line separates."""
        first = last = lines.index(line)
        while first and self._are_adjacent(lines[first - 1], lines[first]):
            first -= 1
        while last + 1 < len(lines) and self._are_adjacent(lines[last], lines[last + 1]):
            last += 1
        return lines[first : last + 1]

    def _are_adjacent(self, one: Line, other: Line) -> bool:
        return self.begins_line(other) and self.data[one.end : other.start].count(b"\n") == 1

    def begins_line(self, line: Line) -> bool:
        """Return whether nothing but marks of a list comes before *line* in its line."""
        begin = self.line_starts[self.line_of(line.start) - 1]
        return _MARKS.fullmatch(self.data, begin, line.start) is not None

    @classmethod
    def may_concern(cls, data: bytes, names: Names) -> bool:
        """Return whether *data* may name a distribution of an SDK."""
        return names.may_require(text_in(data))

    @property
    @abstractmethod
    def lists(self) -> Sequence[Listed]:
        """The lists of requirements, each on its own: Capa in one of them does not serve another."""

    @property
    def pins(self) -> Iterator[Pin]:
        """Yield all requirements."""
        for listed in self.lists:
            yield from (Pin(line.text, self.line_of(line.start)) for line in listed.lines)


def is_capa(text: str) -> bool:
    """Return whether the requirement *text* is of Capa."""
    requirement = read_requirement(text)
    return requirement is not None and requirement.name == CAPA_DISTRIBUTION
