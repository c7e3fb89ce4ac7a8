"""setup.cfg: Capa is added to lists of requirements that have an SDK.

    install_requires =           →  install_requires =
        requests>=2.31                  requests>=2.31
                                        capa-core[requests]

    x = requests.help:main       →  x = capa_requests.help:main

`install_requires`, `setup_requires`, `tests_require` and the extras. A single line in which `;` could begin a marker or
the next requirement is left and reported.
"""

from __future__ import annotations

from collections.abc import Iterator

from capa_codemods.findings import Edit, Finding
from capa_codemods.manifests.entry_points import moved_entries
from capa_codemods.manifests.ini_file import SetupCfg as SetupCfgFile
from capa_codemods.manifests.line_rule import LineRule
from capa_codemods.project import Project


class SetupCfg(LineRule[SetupCfgFile]):
    """Add Capa to a setup.cfg that requires an SDK."""

    id = "setup-cfg"
    summary = "a setup.cfg that requires an SDK also requires capa-core with its extra"
    reads = SetupCfgFile
    is_for_all_pythons = True

    def added(self, file: SetupCfgFile, project: Project) -> Iterator[Edit | Finding]:
        """Yield the edits that add Capa and load entry points from it, and findings where none is certain."""
        yield from super().added(file, project)
        yield from moved_entries(self.id, file.entries, file.path, project)
