"""pyproject.toml: Capa is added to the lists and tables that have an SDK.

    dependencies = [                     →  dependencies = [
        "requests>=2.31",  # http               "requests>=2.31",  # http
    ]                                           "capa-core[requests]",
                                            ]
    [tool.poetry.dependencies]           →  [tool.poetry.dependencies]
    requests = "^2.31"                      requests = "^2.31"
                                            capa-core = {version = "*", extras = ["requests"]}

PEP 621 dependencies and optional dependencies, PEP 735 groups, build requirements (setup.py may import the SDK), and
the lists and tables of Poetry, PDM, uv, Hatch, tox, Pixi, Rye and Flit. Order, comments and markers are kept. Where
no place can be found that gives exactly that, or a table requires the SDK under a condition (`optional = true`,
`markers`, `python`), the finding names the line to add by hand, as for requirements that Pixi takes from conda. Lock
files are never edited: a finding names the command that makes them again.
"""

from __future__ import annotations

from collections.abc import Iterator

from capa_codemods.findings import Edit, Finding
from capa_codemods.manifests.missing import missing_extras
from capa_codemods.manifests.requirement import capa_requirement, read_requirement
from capa_codemods.manifests.toml_manifest import PyprojectFile
from capa_codemods.manifests.toml_rule import TomlRule
from capa_codemods.project import Project
from capa_codemods.sdks.names import CAPA_DISTRIBUTION


class Pyproject(TomlRule[PyprojectFile]):
    """Add Capa to a pyproject.toml that requires an SDK."""

    id = "pyproject"
    summary = "a pyproject.toml that requires an SDK also requires capa-core with its extra"
    reads = PyprojectFile
    is_for_all_pythons = True

    def added(self, file: PyprojectFile, project: Project) -> Iterator[Edit | Finding]:
        """Yield the edits that add Capa, and findings for the others."""
        yield from super().added(file, project)
        yield from self._of_conda(file, project)
        yield from self._of_tox(file, project)

    def _of_conda(self, file: PyprojectFile, project: Project) -> Iterator[Finding]:
        required = list(filter(None, (read_requirement(text) for text, _ in file.required)))
        brought = {extra for one in required if one.name == CAPA_DISTRIBUTION for extra in one.extras}
        brought |= {owner.extra for one in required if (owner := project.names.required(one.name))}
        for path, table in file.conda_tables:
            for key in table:
                owner = project.names.required(key)
                if owner and not brought & {owner.extra, "all"}:
                    wanted = capa_requirement([owner.extra])
                    message = f"{'.'.join(path)}: {key} comes from conda, which has no {wanted}"
                    step = "add it to [tool.pixi.pypi-dependencies]"
                    yield Finding(self.id, file.line_with(key), "warning", message, step, blocks=True)

    def _of_tox(self, file: PyprojectFile, project: Project) -> Iterator[Finding]:
        for texts in file.tox_lists:
            if missing := missing_extras(texts, project.names):
                message = f"legacy_tox_ini requires an SDK without {capa_requirement(missing)}"
                line = file.line_with("legacy_tox_ini")
                yield Finding(self.id, line, "warning", message, "add it by hand", blocks=True)
