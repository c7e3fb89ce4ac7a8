"""Pipfile: Capa is asked for beside the SDK, in the same table.

    [packages]                  →  [packages]
    requests = "*"                 requests = "*"
                                   capa-core = {version = "*", extras = ["requests"]}

Pipfile.lock is never edited: a finding names the command that makes it again.
"""

from __future__ import annotations

from capa_codemods.manifests.toml_manifest import Pipfile as PipfileManifest
from capa_codemods.manifests.toml_rule import TomlRule


class Pipfile(TomlRule[PipfileManifest]):
    """Ask for Capa where a Pipfile asks for an SDK."""

    id = "pipfile"
    summary = "a Pipfile that asks for an SDK asks for capa-core with its extra too"
    reads = PipfileManifest
