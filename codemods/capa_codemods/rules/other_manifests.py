"""setup.py, setup.cfg, Pipfile, tox.ini, conda environments: say what to add, edit nothing.

Left alone because their requirements stand in code, or in formats that are not read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from capa_codemods.engine.other_manifest import OtherManifest
from capa_codemods.findings import Edit, Finding
from capa_codemods.names import CAPA, spellings
from capa_codemods.project import Project
from capa_codemods.requirement import capa_requirement
from capa_codemods.rule import Rule

# A whole word in quotes, or at the beginning of a line or an item: not a module in an import, nor prose.
_BEFORE = r"(?:^[ \t]*(?:-[ \t]*)?|[\"'])"


class OtherManifests(Rule[OtherManifest]):
    """Name the manifests that ask for an SDK and must ask for Capa by hand."""

    id = "other-manifests"
    summary = "setup.py, setup.cfg, Pipfile, tox.ini and conda files that ask for an SDK are named"
    reads = OtherManifest

    def check(self, file: OtherManifest, project: Project) -> Iterator[Edit | Finding]:
        """Yield a warning for each SDK that is asked for without Capa."""
        if re.search(_BEFORE + spellings([CAPA]).pattern, file.text, re.IGNORECASE | re.MULTILINE):
            return
        for owner in project.names.maps:
            wanted = re.compile(
                _BEFORE + spellings(owner.distributions).pattern, re.IGNORECASE | re.MULTILINE
            )
            if found := wanted.search(file.text):
                line = file.text.count("\n", 0, found.end()) + 1
                said = f"asks for {owner.name} and not for {capa_requirement([owner.extra])}"
                yield Finding(self.id, line, "warning", said, "add it by hand")
