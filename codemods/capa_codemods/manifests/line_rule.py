"""Ask for Capa in lists of requirements that ask for an SDK: a line is added, and none is replaced.

The adapter stands on the original, other packages may need it too, and going back is trivial.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from capa_codemods.findings import Edit, Finding
from capa_codemods.manifests.lines import Line, LineManifest, Listed, is_capa
from capa_codemods.manifests.locks import stale_locks
from capa_codemods.project import Project
from capa_codemods.requirement import capa_requirement, missing_extras, read_requirement, with_extras
from capa_codemods.rule import Rule

M = TypeVar("M", bound=LineManifest)


class LineRule(Rule[M]):
    """What the rules for such manifests do; each names its kind of file."""

    def check(self, file: M, project: Project) -> Iterator[Edit | Finding]:
        """Yield the edits that add or extend Capa's lines, and what to do where none is certain."""
        said = [item for listed in file.lists for item in self._listed(listed, file, project)]
        yield from said
        if any(isinstance(item, Edit) for item in said):
            yield from stale_locks(self.id, file.path, project)

    def _listed(self, listed: Listed, file: M, project: Project) -> Iterator[Edit | Finding]:
        missing = missing_extras((line.text for line in listed.lines), project.names)
        if not missing:
            return
        sdks = [line for line in listed.lines if project.names.required(_name(line))]
        ours = next((line for line in listed.lines if is_capa(line.text)), None)
        hosts = [line for line in sdks if line.is_host] or [line for line in listed.lines if line.is_host]
        if listed.doubt or not (ours or hosts):
            asked = ", ".join(sorted({_name(line) for line in sdks}))
            said = f"asks for {asked} and not for {capa_requirement(missing)}"
            said += f": {listed.doubt}" if listed.doubt else ""
            yield Finding(self.id, file.line_of(sdks[-1].start), "warning", said, listed.advice)
        elif ours:
            new = with_extras(ours.text, missing).encode()
            yield Edit(ours.start, ours.start + len(ours.text.encode()), new, self.id)
        else:
            newline = "\r\n" if b"\r\n" in file.data else "\n"
            added = f"{newline}{hosts[-1].lead}{capa_requirement(missing)}"
            yield Edit(hosts[-1].end, hosts[-1].end, added.encode(), self.id)


def _name(line: Line) -> str:
    requirement = read_requirement(line.text)
    return requirement.name if requirement else ""
