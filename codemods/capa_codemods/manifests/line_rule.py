"""Add Capa to lists of requirements that have an SDK: a line is added, and none is replaced.

The adapter needs the original, other packages may need it too, and going back is trivial.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from capa_codemods.findings import Edit, Finding
from capa_codemods.manifests.lines import Line, LineManifest, Listed
from capa_codemods.manifests.locks import stale_locks
from capa_codemods.manifests.pins import contradictions
from capa_codemods.manifests.requirement import (
    Missing,
    capa_requirement,
    missing,
    read_requirement,
    with_extras,
)
from capa_codemods.project import Project
from capa_codemods.rule import Rule

M = TypeVar("M", bound=LineManifest)


class LineRule(Rule[M]):
    """The rule for such manifests; each subclass names its kind of file."""

    def check(self, file: M, project: Project) -> Iterator[Edit | Finding]:
        """Yield the edits that add or extend Capa's lines, and findings where none is certain."""
        items = [item for listed in file.lists for item in self._listed(listed, file, project)]
        yield from items
        required = ((line.text, line.start) for listed in file.lists for line in listed.lines)
        yield from contradictions(self.id, required, file.line_of, project.names)
        if any(isinstance(item, Edit) for item in items):
            yield from stale_locks(self.id, file.path, project)

    def _listed(self, listed: Listed, file: M, project: Project) -> Iterator[Edit | Finding]:
        lacks = missing((line.text for line in listed.lines), project.names)
        if listed.doubt:
            yield from self._left(lacks, listed, file, project)
            return
        added: dict[Line, list[str]] = {}
        for lack in lacks:
            if ours := next((line for line in listed.lines if line.is_host and lack.fits(line.text)), None):
                new = with_extras(ours.text, lack.extras).encode()
                yield Edit(ours.start, ours.start + len(ours.text.encode()), new, self.id)
                continue
            sdks = [line for line in listed.lines if line.is_host and lack.is_for(line.text, project.names)]
            host = (sdks or [line for line in listed.lines if line.is_host])[-1]
            added.setdefault(host, []).append(lack.text)
        yield from self._added(added, file)

    def _added(self, added: dict[Line, list[str]], file: M) -> Iterator[Edit]:
        newline = "\r\n" if b"\r\n" in file.data else "\n"
        for host, texts in added.items():
            lines = "".join(f"{newline}{host.lead}{text}" for text in texts)
            yield Edit(host.end, host.end, lines.encode(), self.id)

    def _left(self, lacks: list[Missing], listed: Listed, file: M, project: Project) -> Iterator[Finding]:
        sdks = [line for line in listed.lines if any(lack.is_for(line.text, project.names) for lack in lacks)]
        if sdks:
            listed_sdks = ", ".join(sorted({_name(line) for line in sdks}))
            wanted = capa_requirement(extra for lack in lacks for extra in lack.extras)
            message = f"requires {listed_sdks} without {wanted}: {listed.doubt}"
            yield Finding(self.id, file.line_of(sdks[-1].start), "warning", message, listed.advice)


def _name(line: Line) -> str:
    requirement = read_requirement(line.text)
    return requirement.name if requirement else ""
