"""Requirements files: a line for Capa is added to those that require an SDK.

    requests>=2.31  # http      →  requests>=2.31  # http
                                   capa-core[requests]
    capa-core[celery]           →  capa-core[celery,requests]
    celery; os_name == "nt"     →  celery; os_name == "nt"
                                   capa-core[celery]; os_name == "nt"

In all kinds of manifests the line is pinned, to the version of Capa that runs, where all others of the list are pinned,
and it goes to its place where they are sorted. Order, comments and markers are kept.

A file that another one includes (`-r deps/prod.txt`) is read under any name.

Files that a tool has generated are not edited, and are known by their head, their `# via` lines or the `.in` beside
them: the finding names the command that makes them again. Nor are those edited whose first comments forbid it, which
the finding quotes, those with hashes, in which pip refuses a line without one, and those that others include with `-c`,
in which pip refuses extras.

A requirement that excludes a version that Capa needs, of an original or of any other distribution that `capa-core[…]`
requires, is an error, and the file stays as it is: in this kind of manifest and all others, in constraints files and
commands too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from capa_codemods.findings import Edit, Finding
from capa_codemods.manifests.brought import are_brought
from capa_codemods.manifests.compiled import Compiled, compiled, named_files
from capa_codemods.manifests.line_rule import LineRule
from capa_codemods.manifests.lines import Doubt
from capa_codemods.manifests.missing import Missing
from capa_codemods.manifests.requirements_file import RequirementsFile
from capa_codemods.project import Project


class Requirements(LineRule[RequirementsFile]):
    """Add Capa to requirements files that require an SDK."""

    id = "requirements"
    summary = "requirements files that require an SDK also require capa-core with its extra"
    reads = RequirementsFile
    includes = True

    def added(self, file: RequirementsFile, project: Project) -> Iterator[Edit | Finding]:
        """Yield the edits that add or extend Capa's lines, and findings where none is certain; none for constraints."""
        if file.path not in project.inclusions.limiting or project.is_required(file.path):
            yield from super().added(file, project)

    def doubt(self, file: RequirementsFile, lacks: Sequence[Missing], project: Project) -> Doubt | None:
        """Return why *file* is not edited: a tool has made it, its head forbids it, or pip would refuse the line."""
        extras = {extra for lack in lacks for extra in lack.extras}
        if origin := compiled(file, project):
            return Doubt("the file is generated", _way(origin, extras, project))
        if head := file.refusal:
            is_brought = any(
                are_brought(extras, [path], project) for path in named_files(head, file, project)
            )
            step = "make it again" if is_brought else "add it to the source of the file"
            reading = "as its head reads" if is_brought else "whose head reads"
            return Doubt("the file is not to be edited by hand", f"{step}, {reading} `{head}`")
        if file.has_hashes:
            step = "add it with its hashes and those of its requirements: `pip-compile --generate-hashes` writes them"
            return Doubt("pip refuses a line without a hash where others have one", step)
        if user := project.inclusions.limiting.get(file.path):
            step = "add it to another file, which includes this one with `-r`"
            return Doubt(f"{user} includes it with `-c`, and pip refuses extras in constraints", step)
        return None


def _way(origin: Compiled, extras: Collection[str], project: Project) -> str:
    """Return how a compiled file gets the *extras*: its source may have them, or get them in the same run."""
    again = f"run `{origin.command}`" if origin.command else "compile it again"
    if origin.path and are_brought(extras, [origin.path], project):
        return again if origin.command else f"{again} from {origin.source}"
    return f"add it to {origin.source or 'its source'} and {again}"
