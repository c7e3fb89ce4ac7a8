"""Manifests with one requirement a line."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from capa_codemods.manifests.requirement import read_requirement
from capa_codemods.read.document import ComparedDocument, decoded
from capa_codemods.read.encodings import text_in
from capa_codemods.sdks.names import CAPA_DISTRIBUTION, Names


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


class Listed(NamedTuple):
    """One list of requirements.

    Attributes:
        lines: Its requirements.
        doubt: Why it is not edited; empty if it is.
        advice: What to do about it then.
    """

    lines: tuple[Line, ...]
    doubt: str = ""
    advice: str = "add it by hand"


class LineManifest(ComparedDocument):
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

    @classmethod
    def may_concern(cls, data: bytes, names: Names) -> bool:
        """Return whether *data* may name a distribution of an SDK."""
        return names.may_require(text_in(data))

    @property
    @abstractmethod
    def lists(self) -> Sequence[Listed]:
        """The lists of requirements, each on its own: Capa in one of them does not serve another."""


def is_capa(text: str) -> bool:
    """Return whether the requirement *text* is of Capa."""
    requirement = read_requirement(text)
    return requirement is not None and requirement.name == CAPA_DISTRIBUTION
