"""Pipfile: Capa is added to the table that has the SDK.

    [packages]                  →  [packages]
    requests = "*"                 requests = "*"
                                   capa-core = {version = "*", extras = ["requests"]}

Pipfile.lock is never edited: a finding names the command that makes it again. A Pipfile without such tables that the
setup.py in its folder names is left and reported: a setup.py may read it as something simpler than TOML.
"""

from __future__ import annotations

import re

from capa_codemods.manifests.toml_manifest import Pipfile as PipfileManifest
from capa_codemods.manifests.toml_rule import TomlRule
from capa_codemods.project import Project

_NAMED = re.compile(r"\bPipfile\b(?!\.lock)")


class Pipfile(TomlRule[PipfileManifest]):
    """Add Capa to a Pipfile that requires an SDK."""

    id = "pipfile"
    summary = "a Pipfile that requires an SDK also requires capa-core with its extra"
    reads = PipfileManifest

    def doubt(self, file: PipfileManifest, project: Project) -> tuple[str, str] | None:
        """Return why *file* stays: the setup.py in its folder may read it line by line, and know no tables."""
        if any(isinstance(value, dict) for _, table in file.dependency_tables for value in table.values()):
            return None
        setup = f"{file.path.rpartition('/')[0]}/setup.py".lstrip("/")
        if not _NAMED.search(project.text_of(setup)):
            return None
        return (
            f"{setup} names this file, and may not be able to read a table",
            "see how it does, and add it by hand",
        )
