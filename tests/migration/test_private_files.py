"""The files that the migration tool keeps in a tree are for their owner alone: they quote the sources."""

from __future__ import annotations

import os
import stat

import pytest

RUNS = (
    ("scan",),
    ("migrate", "check"),
    ("migrate", "apply", "--allow-dirty"),
    ("migrate", "status"),
    ("migrate", "undo"),
    ("migrate", "apply", "--allow-dirty"),
    ("report",),
)
KEPT = {"history", "report.html", "settled", "scanned", "lock", "plan.json", "originals", ".gitignore"}


@pytest.fixture
def usual_umask():
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_no_folder_or_file_is_open_to_others(capa, project, usual_umask):
    for words in RUNS:
        assert capa(*words, project).code in {0, 1}, words

    kept = [path for path in _own(project) if path.is_file()]
    assert KEPT <= {path.name for path in kept}
    assert [] == [path for path in _own(project) if stat.S_IMODE(path.stat().st_mode) & 0o077]


def test_files_that_an_earlier_version_left_open_are_closed(capa, project, usual_umask):
    capa("scan", project)
    capa("migrate", "apply", "--allow-dirty", project)
    capa("report", project)
    for path in _own(project):
        if path.name in {"history", "lock", "report.html"}:
            path.chmod(0o644)
    (project / "app/plain.py").write_text("import requests\n")

    capa("migrate", "apply", "--allow-dirty", project)
    capa("report", project)

    assert [] == [path for path in _own(project) if stat.S_IMODE(path.stat().st_mode) & 0o077]


def _own(project):
    """Return the folders and files that Capa keeps in *project*."""
    folders = list(project.glob(".capa*"))
    return [*folders, *(path for folder in folders for path in folder.rglob("*"))]
