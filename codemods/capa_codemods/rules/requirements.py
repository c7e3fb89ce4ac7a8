"""Requirements files: Capa is asked for beside the SDK.

    requests>=2.31  # http      →  requests>=2.31  # http
                                   capa-core[requests]
    capa-core[celery]           →  capa-core[celery,requests]

A line is added and none replaced: the adapter stands on the original, other packages may need it too, and going back
is trivial. Order and comments are kept. Files that a tool has generated are not edited: the finding says which
command makes them again.
"""

from __future__ import annotations

from collections.abc import Iterator

from capa_codemods.engine.requirements_file import RequirementsFile
from capa_codemods.findings import Edit, Finding
from capa_codemods.names import CAPA
from capa_codemods.project import Project
from capa_codemods.requirement import capa_requirement, missing_extras, read_requirement, with_extras
from capa_codemods.rule import Rule


class Requirements(Rule[RequirementsFile]):
    """Ask for Capa in requirements files that ask for an SDK."""

    id = "requirements"
    summary = "requirements files that ask for an SDK ask for capa-core with its extra too"
    reads = RequirementsFile

    def check(self, file: RequirementsFile, project: Project) -> Iterator[Edit | Finding]:
        """Yield the edit that adds or extends the line of Capa, or the command that makes the file again."""
        missing = missing_extras((line.text for line in file.requirements), project.names)
        if not missing:
            return
        sdks = [line for line in file.requirements if project.names.required(_name(line.text))]
        if file.generator:
            source = file.path.removesuffix(".txt") + ".in"
            yield Finding(
                self.id,
                file.line_of(sdks[-1].start),
                "warning",
                f"the file is generated, and asks for no {capa_requirement(missing)}",
                f"add it to {source} and run `{file.generator} {source}`",
            )
            return
        ours = next((line for line in file.requirements if _name(line.text) == CAPA), None)
        if ours is not None:
            end = ours.start + len(ours.text.encode())
            yield Edit(ours.start, end, with_extras(ours.text, missing).encode(), self.id)
        else:
            newline = "\r\n" if "\r\n" in file.text else "\n"
            yield Edit(sdks[-1].end, sdks[-1].end, f"{newline}{capa_requirement(missing)}".encode(), self.id)


def _name(text: str) -> str:
    requirement = read_requirement(text)
    return requirement.name if requirement else ""
