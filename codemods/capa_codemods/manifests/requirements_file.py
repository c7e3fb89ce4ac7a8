"""Read a pip requirements file: its requirements, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cached_property

from capa_codemods.manifests.lines import Line, LineManifest, Listed, is_capa
from capa_codemods.manifests.pins import Pin
from capa_codemods.manifests.requirement import is_exact, read_requirement
from capa_codemods.project import is_constraints, is_requirements
from capa_codemods.sdks.names import Names

_LOGICAL = re.compile(r"[^\r\n]*?(?:\\(?:\r\n|\r|\n)[^\r\n]*?)*(?=\r\n|\r|\n|\Z)")
_COMMENT = re.compile(r"(?:^|\s)#.*", re.DOTALL)

# The head that other tools, and people, write into a file that is not to be edited by hand.
_HEAD = re.compile(r"\ufeff?(?:[ \t]*(?:#[^\r\n]*)?(?:\r\n|\r|\n))*")
_NOT_BY_HAND = re.compile(
    r"#+[ \t]*([^\r\n]*\b(?:(?:not|don'?t|never) (?:\w+ )?(?:edit|modify)|auto(?:matically)?[ -]?generated)\b[^\r\n]*)",
    re.IGNORECASE,
)

_HASHES = re.compile(r"--(?:hash[ =]|require-hashes\b)")


class RequirementsFile(LineManifest):
    """A file for `pip install -r`, written by hand or generated, or one for `-c`, in which pip refuses extras."""

    suffixes = (".txt", ".in")

    @classmethod
    def claims(cls, path: str) -> bool:
        """Return whether *path* has the name of a requirements file or a constraints file."""
        return path.endswith(cls.suffixes) and (is_requirements(path) or is_constraints(path))

    @property
    def lists(self) -> Sequence[Listed]:
        """The one list that the file is; none if it only limits versions."""
        return () if is_constraints(self.path) else (Listed(self.requirements),)

    @property
    def pins(self) -> Iterator[Pin]:
        """Yield all requirements or constraints."""
        yield from (Pin(line.text, self.line_of(line.start)) for line in self.requirements)

    @cached_property
    def requirements(self) -> tuple[Line, ...]:
        """The requirements, without options, comments and addresses."""
        return tuple(
            Line(text, self.offset(start), self.offset(end))
            for text, start, end in self._lines()
            if read_requirement(text)
        )

    @cached_property
    def names(self) -> frozenset[str]:
        """The distributions that it names."""
        return frozenset(found.name for line in self.requirements if (found := read_requirement(line.text)))

    @property
    def is_pinned(self) -> bool:
        """Whether each requirement allows one version."""
        return all(is_exact(line.text) for line in self.requirements)

    @property
    def texts(self) -> list[str]:
        """All lines that are not blank, without comments: options, paths and addresses too."""
        return [text.strip() for text, _, _ in self._lines() if text.strip()]

    def _lines(self) -> Iterator[tuple[str, int, int]]:
        """Yield each line, with those that continue it and without comments, and where it begins and ends."""
        at = 1 if self.text.startswith("\ufeff") else 0  # the mark that some editors begin a file with
        while at <= len(self.text):
            logical = _LOGICAL.match(self.text, at)
            end = logical.end() if logical else len(self.text)
            yield _COMMENT.sub("", self.text[at:end]), at, end
            at = end + (2 if self.text.startswith("\r\n", end) else 1)

    @property
    def has_hashes(self) -> bool:
        """Whether it names the hashes of distributions, or asks for them, so that pip wants them for all."""
        return any(map(_HASHES.search, self.texts))

    @property
    def refusal(self) -> str:
        """The line in the head of the file that forbids editing it; empty if there is none."""
        head = _HEAD.match(self.text)
        found = _NOT_BY_HAND.search(head[0]) if head else None
        return found[1].strip() if found else ""

    def flaw(self, new: bytes, names: Names) -> str | None:  # noqa: ARG002
        """Read *new* and compare: nothing but the requirements of Capa may differ."""
        before, after = (
            [line.text for line in one.requirements if not is_capa(line.text)]
            for one in (self, type(self)(self.path, new))
        )
        return "requirements of others differ" if before != after else None
