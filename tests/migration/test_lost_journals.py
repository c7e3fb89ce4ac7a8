"""A rewrite whose journal is gone: `undo` and `status` say that the files are rewritten, and the way back with git."""

import json
import shutil

import pytest


@pytest.fixture
def lost(capa, project):
    """A rewritten project without its journal."""
    capa("migrate", "apply", project)
    shutil.rmtree(project / ".capa-migrate")
    return project


def test_undo_says_what_it_cannot_undo_and_the_way_back(capa, lost):
    before = (lost / "app/api.py").read_text()
    ran = capa("migrate", "undo", lost)

    assert (2, before) == (ran.code, (lost / "app/api.py").read_text())
    assert (
        f"{lost}: nothing was undone: there is no rewrite in the journal, {lost}/.capa-migrate, and"
        in ran.out
    )
    assert "app/api.py" in ran.out
    assert "`git log -G 'capa_" in ran.out
    assert not (lost / ".capa-migrate").exists()


def test_status_says_the_same(capa, lost):
    ran = capa("migrate", "status", lost)

    assert 0 == ran.code  # so it is in each new clone
    assert ran.out.startswith(f"{lost}: there is no rewrite in the journal, {lost}/.capa-migrate, and")
    assert "Next: `git log -G" in ran.out


def test_the_files_are_data(capa, lost):
    undone, shown = (json.loads(capa("migrate", one, lost, "--json").out) for one in ("undo", "status"))

    assert (None, 2) == (undone["result"], undone["exit"])
    assert "app/api.py" in undone["unjournaled"]
    assert undone["unjournaled"] == shown["unjournaled"]


def test_the_step_finds_the_commit_of_the_rewrite(capa, project, git):
    capa("migrate", "apply", project)
    git("commit", "-aqm", "the rewrite")
    shutil.rmtree(project / ".capa-migrate")
    pattern = capa("migrate", "undo", project).out.partition("git log -G '")[2].partition("'")[0]

    assert ["the rewrite"] == git("log", "--format=%s", "-G", pattern).splitlines()


def test_a_copy_of_capa_is_no_rewritten_file(capa, tmp_path):
    package = tmp_path / "capa_requests"
    package.mkdir()
    (package / "import_map.toml").touch()
    (package / "__init__.py").write_text("from capa_requests.api import get\n")

    assert 0 == capa("migrate", "undo", tmp_path).code
