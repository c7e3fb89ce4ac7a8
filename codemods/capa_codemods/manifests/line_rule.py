"""Add Capa to lists of requirements that have an SDK: a line is added, and none is replaced.

The adapter needs the original, other packages may need it too, and going back is trivial.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, TypeVar

from capa_codemods.findings import Edit, Finding
from capa_codemods.manifests.brought import are_brought
from capa_codemods.manifests.lines import Doubt, Line, LineManifest, Listed, is_capa
from capa_codemods.manifests.locks import locks_without_capa, stale_locks
from capa_codemods.manifests.manifest_rule import ManifestRule
from capa_codemods.manifests.missing import Missing, missing
from capa_codemods.manifests.neighbours import sorted_place
from capa_codemods.manifests.requirement import capa_requirement, read_requirement, with_extras
from capa_codemods.project import Project

M = TypeVar("M", bound=LineManifest)


class LineRule(ManifestRule[M]):
    """The rule for such manifests; each subclass names its kind of file."""

    includes: ClassVar[bool] = False
    """Whether the file as a whole is installed with those that it includes."""

    def added(self, file: M, project: Project) -> Iterator[Edit | Finding]:
        """Yield the edits that add or extend Capa's lines, and findings where none is certain."""
        items = [item for listed in file.lists for item in self._listed(listed, file, project)]
        yield from items
        if any(isinstance(item, Edit) for item in items):
            yield from stale_locks(self.id, file.path, project)
        elif any(is_capa(pin.text) for pin in file.pins):
            yield from locks_without_capa(self.id, file.path, project)

    def lacks(self, listed: Listed, file: M, project: Project) -> list[Missing]:
        """Return the extras of Capa that *listed*, a list of *file*, lacks."""
        included = project.inclusions.together(file.path) - {file.path} if self.includes else ()
        found = missing((line.text for line in listed.lines), project.names)
        return [lack for lack in found if not are_brought(lack.extras, included, project)]

    def doubt(self, file: M, lacks: Sequence[Missing], project: Project) -> Doubt | None:  # noqa: ARG002
        """Return why nothing is added to *file*, which *lacks* extras; None if nothing speaks against it."""
        return None

    def _listed(self, listed: Listed, file: M, project: Project) -> Iterator[Edit | Finding]:
        lacks = self.lacks(listed, file, project)
        doubt = listed.doubt or (self.doubt(file, lacks, project) if lacks else None)
        if doubt:
            yield from self._left(lacks, listed, doubt, file, project)
            return
        added: dict[int, list[str]] = {}
        for lack in lacks:
            if ours := next((line for line in listed.lines if line.is_host and lack.fits(line.text)), None):
                new = with_extras(ours.text, lack.extras).encode()
                yield Edit(ours.start, ours.start + len(ours.text.encode()), new, self.id)
                continue
            sdks = [line for line in listed.lines if line.is_host and lack.is_for(line.text, project.names)]
            host = (sdks or [line for line in listed.lines if line.is_host])[-1]
            at, line = _placed(lack, host, listed, file)
            added.setdefault(at, []).append(line)
        yield from (Edit(at, at, "".join(lines).encode(), self.id) for at, lines in added.items())

    def _left(
        self, lacks: list[Missing], listed: Listed, doubt: Doubt, file: M, project: Project
    ) -> Iterator[Finding]:
        sdks = [line for line in listed.lines if any(lack.is_for(line.text, project.names) for lack in lacks)]
        if sdks:
            listed_sdks = ", ".join(sorted({_name(line) for line in sdks}))
            wanted = capa_requirement(extra for lack in lacks for extra in lack.extras)
            message = f"requires {listed_sdks} without {wanted}: {doubt.reason}"
            yield Finding(self.id, file.line_of(sdks[-1].start), "warning", message, doubt.step, blocks=True)


def _placed(lack: Missing, host: Line, listed: Listed, file: LineManifest) -> tuple[int, str]:
    """Return where a line for *lack* goes, in bytes, and the line: after *host*, or so that the lines stay sorted."""
    newline = "\r\n" if b"\r\n" in file.data else "\n"
    lines = [line for line in listed.lines if line.is_host]
    text = lack.text_among([line.text for line in lines])
    together = file.together(host, lines)
    place = sorted_place([line.text for line in together], text)
    if place == 0 and file.begins_line(together[0]):
        return file.line_starts[file.line_of(together[0].start) - 1], f"{together[0].lead}{text}{newline}"
    beside = together[place - 1] if place else host
    return beside.end, f"{newline}{beside.lead}{text}"


def _name(line: Line) -> str:
    requirement = read_requirement(line.text)
    return requirement.name if requirement else ""
