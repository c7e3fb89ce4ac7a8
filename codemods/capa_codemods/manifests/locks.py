"""Lock files: never edited; a finding names the command that writes each again."""

from __future__ import annotations

import os
from collections.abc import Iterator

from capa_codemods.findings import Finding
from capa_codemods.project import Project

# The manifest, by the beginning of its name → the lock files that are made from it, and how.
_COMMANDS = {
    "pyproject.toml": {
        "poetry.lock": "poetry lock",
        "uv.lock": "uv lock",
        "pdm.lock": "pdm lock",
        "pixi.lock": "pixi lock",
        "pylock.toml": "the command that wrote it",
    },
    "Pipfile": {"Pipfile.lock": "pipenv lock"},
    "environment": {"conda-lock.yml": "conda-lock lock --file {}"},
    "conda": {"conda-lock.yml": "conda-lock lock --file {}"},
}


def stale_locks(rule: str, path: str, project: Project) -> Iterator[Finding]:
    """Yield a finding of *rule* for each lock file in the folder of the manifest at *path*, which changes."""
    folder, _, name = path.rpartition("/")
    for beginning, commands in _COMMANDS.items():
        if name.startswith(beginning):
            for lock, command in commands.items():
                if os.path.lexists(os.path.join(project.root, folder, lock)):
                    message, step = f"{lock} lacks the change", f"run `{command.format(name)}`"
                    yield Finding(rule, 1, "warning", message, step)
