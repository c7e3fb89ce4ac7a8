"""`capa migrate status`: the state of the files of each rewrite, also after edits by others."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def fates(capa, project):
    """Return for each rewrite how many files are (as written, edited, original, gone)."""

    def run() -> list[tuple[int, int, int, int]]:
        rewrites = json.loads(capa("migrate", "status", project, "--json").out)["rewrites"]
        return [(one["as_written"], one["edited"], one["original"], one["gone"]) for one in rewrites]

    return run


def test_each_file_is_counted_by_its_content(capa, project, fates):
    original = (project / "app/api.py").read_bytes()
    capa("migrate", "apply", project)
    (project / "app/api.py").write_bytes(original)
    (project / "app/tasks.py").write_text("import capa_celery\n")
    (project / "tests/test_api.py").unlink()
    shown = capa("migrate", "status", project).out.splitlines()

    assert [(0, 1, 1, 1)] == fates()
    assert ["      1 edited since, 1 the original again, 1 gone"] == shown[1:]


def test_files_as_written_take_no_line(capa, project, fates):
    capa("migrate", "apply", project)

    assert [(3, 0, 0, 0)] == fates()
    assert 1 == len(capa("migrate", "status", project).out.splitlines())


def test_a_later_rewrite_is_no_edit(capa, project, fates):
    (project / "app/api.py").write_text('import requests\npatch("requests.get")\n')
    capa("migrate", "apply", project, "--only", "imports")
    capa("migrate", "apply", project, "--only", "strings")

    assert [(2, 0, 0, 0), (2, 0, 0, 0)] == fates()


def test_an_edit_between_two_rewrites_is_one_of_the_first(capa, project, fates):
    capa("migrate", "apply", project)
    (project / "app/api.py").write_text('import capa_requests as requests\npatch("requests.get")\n')
    capa("migrate", "apply", project)

    assert [(2, 1, 0, 0), (1, 0, 0, 0)] == fates()


def test_files_restored_by_git_are_shown_and_undo_clears_the_journal(capa, project, git):
    capa("migrate", "apply", project)
    git("checkout", "-q", ".")

    shown = capa("migrate", "status", project).out
    undone = capa("migrate", "undo", project)

    assert "      3 the original again\n" in shown
    assert (
        "All files of rewrite 1 hold the original again. "
        f"Next: `capa migrate undo {project}` clears the journal.\n" in shown
    )
    assert (0, "nothing to restore: all files hold the original again\n") == (undone.code, undone.out)
    assert "no rewrite has been applied" in capa("migrate", "status", project).out


def test_several_rewrites_that_git_took_back_are_forgotten_at_once(capa, project, git, fates):
    (project / "app/api.py").write_text('import requests\npatch("requests.get")\n')
    git("commit", "-aqm", "both in one file")
    capa("migrate", "apply", project, "--only", "imports")
    capa("migrate", "apply", project, "--allow-dirty")
    git("checkout", "-q", ".")

    shown = capa("migrate", "status", project).out

    assert [(0, 0, 2, 0), (0, 0, 2, 0)] == fates()
    assert (
        f"All files of the newest 2 rewrites hold the original again. Next: `capa migrate undo {project} --to 1`"
        in shown
    )
    assert 0 == capa("migrate", "undo", project, "--to", "1").code
    assert [] == fates()


def test_a_rewrite_that_was_made_again_hides_no_older_one(capa, project, git, fates):
    capa("migrate", "apply", project)
    git("checkout", "-q", ".")
    capa("migrate", "apply", project)

    assert [(0, 0, 3, 0), (3, 0, 0, 0)] == fates()
    assert f"`capa migrate undo {project}` undoes the newest" in capa("migrate", "status", project).out


def test_a_file_that_the_rewrite_made_is_back_when_it_is_not_there(capa, project, fates):
    (project / "app/tasks.py").write_text(
        'from celery import Celery\n\napp = Celery(broker="redis://cache/0")\n'
    )
    assert 0 == capa("migrate", "apply", project, "--only", "addresses").code
    (project / "capa.toml").unlink()

    assert [(0, 0, 1, 0)] == fates()
