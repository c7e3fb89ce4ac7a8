"""Lock files: never edited; a finding names the command that writes each again."""

from __future__ import annotations

import os
from collections.abc import Iterator

from capa_codemods.findings import Finding
from capa_codemods.project import Project
from capa_codemods.read.files import read_file
from capa_codemods.sdks.names import CAPA_DISTRIBUTION

# The manifest, by the beginning of its name → the lock files that are made from it, and how.
_COMMANDS = {
    "pyproject.toml": {
        "poetry.lock": "run `poetry lock`",
        "uv.lock": "run `uv lock`",
        "pdm.lock": "run `pdm lock`",
        "pixi.lock": "run `pixi lock`",
        "requirements.lock": "run `rye lock`",
        "requirements-dev.lock": "run `rye lock`",
        "pylock.toml": "run the command that wrote it",
    },
    "Pipfile": {"Pipfile.lock": "run `pipenv lock`"},
    "environment": {"conda-lock.yml": "run `conda-lock lock --file {}`"},
    "conda": {"conda-lock.yml": "run `conda-lock lock --file {}`"},
}


_NAMES = tuple({lock for steps in _COMMANDS.values() for lock in steps})


def is_lock(path: str) -> bool:
    """Return whether *path* has the name of a lock file."""
    # Called for every file of a tree, and most end here.
    return path.endswith(_NAMES) and path.rpartition("/")[2] in _NAMES


def stale_locks(rule: str, path: str, project: Project) -> Iterator[Finding]:
    """Yield a finding of *rule* for each lock file of the manifest at *path*, which changes."""
    for lock, step in _locks(path, project):
        yield Finding(rule, 1, "warning", f"{lock.rpartition('/')[2]} lacks the change", step, blocks=True)


def locks_without_capa(rule: str, path: str, project: Project) -> Iterator[Finding]:
    """Yield a finding of *rule* for each lock file of the manifest at *path*, which has Capa, that does not name it."""
    for lock, step in _locks(path, project):
        if not _names_capa(os.path.join(project.root, lock)):
            message = f"{lock.rpartition('/')[2]} lacks {CAPA_DISTRIBUTION}, which this file requires"
            yield Finding(rule, 1, "warning", message, step, blocks=True)


def _locks(path: str, project: Project) -> Iterator[tuple[str, str]]:
    """Yield the lock files in the folder of the manifest at *path*, each with the way to make it again."""
    folder, _, name = path.rpartition("/")
    for beginning, steps in _COMMANDS.items():
        if name.startswith(beginning):
            for lock, step in steps.items():
                found = f"{folder}/{lock}".lstrip("/")
                if os.path.lexists(os.path.join(project.root, found)):
                    yield found, step.format(name)


def _names_capa(place: str) -> bool:
    try:
        data = read_file(place, follow_link=True)
    except OSError:
        return True  # unreadable: nothing is known to be wrong with it
    return data is None or CAPA_DISTRIBUTION.encode() in data
