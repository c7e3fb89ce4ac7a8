"""Paths of a command, and the changes in a git work tree that stop a run that writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml


def test_several_paths_are_one_run(capa, project):
    ran = capa("migrate", "check", project / "app/api.py", project / "tests", project / "app/plain.py")

    assert 1 == ran.code
    assert "2 files would change, 2 proven; 3 files checked." in ran.out
    assert "app/tasks.py" not in ran.out


def test_several_paths_can_be_scanned_and_rewritten(capa, project):
    scanned = capa("scan", project / "app/api.py", project / "tests")
    capa("migrate", "apply", project / "app/api.py", project / "tests")

    assert ("requests", False) == (scanned.out.splitlines()[1].split()[0], "celery" in scanned.out)
    assert "import capa_requests" in (project / "app/api.py").read_text()
    assert "from celery" in (project / "app/tasks.py").read_text()


def test_undo_accepts_the_paths_of_apply(capa, project, snapshot):
    before = snapshot(project)
    paths = [project / "app/api.py", project / "tests"]
    ran = capa("migrate", "apply", *paths)

    assert f"`capa migrate undo {paths[0]} {paths[1]}` undoes all of it." in ran.out
    assert "0001  applied" in capa("migrate", "status", *paths).out
    assert "2 files restored.\n" == capa("migrate", "undo", *paths).out
    assert before == snapshot(project)


def test_next_step_quotes_paths_for_a_shell(capa, project):
    (project / "a b.py").write_text("import requests\n")

    ran = capa("migrate", "check", project / "a b.py", project / "app/api.py")

    assert f"`capa migrate apply '{project}/a b.py' {project}/app/api.py` makes them." in ran.out


def test_next_step_shortens_many_paths(capa, project):
    ran = capa("migrate", "check", *([project / "app/api.py"] * 4))

    assert (
        f"`capa migrate apply {project}/app/api.py {project}/app/api.py {project}/app/api.py …` makes them."
        in ran.out
    )


def test_paths_in_two_projects_are_relative_to_the_tree_around_both(capa, project, git):
    for name in ("app", "tests"):
        (project / name / "pyproject.toml").write_text("")

    ran = capa("migrate", "check", project / "app/api.py", project / "tests/test_api.py")

    assert 1 == ran.code
    assert "app/api.py:1: imports:" in ran.out
    assert "tests/test_api.py:4: strings:" in ran.out


def test_paths_in_two_projects_that_no_project_holds_are_refused(capa, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text("")
        (tmp_path / name / "app.py").write_text("import requests\n")

    ran = capa("migrate", "apply", tmp_path / "one", tmp_path / "two")

    assert 3 == ran.code
    assert (
        f"{tmp_path}/one and {tmp_path}/two have no project in common: give the paths of one project"
        in ran.err
    )
    assert not (tmp_path / ".capa-migrate").exists()


def test_paths_of_plain_folders_are_in_the_folder_around_them(capa, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "app.py").write_text("import requests\n")

    assert 0 == capa("migrate", "apply", tmp_path / "one", tmp_path / "two").code
    assert 0 == capa("migrate", "undo", tmp_path / "one").code
    assert (tmp_path / ".capa-migrate").is_dir()


def test_excluded_file_that_is_named_is_nothing_to_do(capa, project):
    (project / "pyproject.toml").write_text('[tool.capa.migrate]\nexclude = ["app"]\n')

    ran = capa("migrate", "check", project / "app/api.py")

    assert (0, "nothing to do in 0 files\nnot looked at: 1 excluded file.\n") == (ran.code, ran.out)


def test_hook_for_pre_commit_runs_on_the_files_it_is_given(capa, project):
    (hook,) = yaml.safe_load((Path(__file__).parents[2] / ".pre-commit-hooks.yaml").read_text())
    program, *words = hook["entry"].split()

    ran = capa(*words, project / "README.md", project / "app/plain.py", project / "app/api.py")

    assert ("capa", "python", 1) == (program, hook["language"], ran.code)
    assert 0 == capa(*words, project / "README.md", project / "app/plain.py").code


@pytest.mark.parametrize("word", ["check", "apply"])
def test_path_that_no_project_holds_is_refused(capa, project, git, word):
    (project / ".gitignore").write_text("made/\n")
    (project / "made").mkdir()

    ran = capa("migrate", word, project / "made", project / "made")

    assert 3 == ran.code
    assert "made: no file of the project at" in ran.err


def test_second_apply_before_a_commit_has_nothing_to_do(capa, project, git):
    capa("migrate", "apply", project)

    ran = capa("migrate", "apply", project)

    assert (0, "nothing to do in 5 files\n") == (ran.code, ran.out)


def test_untracked_file_blocks_a_rewrite_only_if_it_would_change(capa, project, git):
    (project / "new").mkdir()
    (project / "new/notes.py").write_text("import os\n")
    assert 0 == capa("migrate", "apply", project).code
    git("commit", "-q", "-a", "-m", "rewritten")
    (project / "new/notes.py").write_text("import requests\n")

    ran = capa("migrate", "apply", project)

    assert 3 == ran.code
    assert "uncommitted changes in 1 file (new/)" in ran.err


def test_untracked_file_of_a_like_name_is_not_in_the_way(capa, project, git):
    (project / "app/ap").write_text("mine\n")

    assert 0 == capa("migrate", "apply", project).code


def test_changes_outside_the_given_paths_are_no_obstacle(capa, project, git):
    (project / "app/plain.py").write_text("import sys\n")

    assert 0 == capa("migrate", "apply", project / "tests", project / "app/api.py").code


def test_refused_apply_leaves_no_trace(capa, project, git, snapshot):
    (project / "app/plain.py").write_text("import sys\n")
    before = snapshot(project)

    capa("migrate", "apply", project)

    assert (before, False) == (snapshot(project), (project / ".capa-migrate").exists())


def test_nearest_project_is_the_tree_in_spite_of_rewrites_around_it(capa, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "pyproject.toml").write_text('[tool.capa.migrate]\nexclude = ["vendor"]\n')
    for path in (tmp_path / "outer.py", inner / "app.py"):
        path.write_text("import requests\n")
    (inner / "vendor").mkdir()
    (inner / "vendor/b.py").write_text("import requests\n")
    capa("migrate", "apply", tmp_path / "outer.py")

    assert (
        "1 file changed, 1 proven; 1 warning (1 to change by hand); 2 files"
        in capa("migrate", "apply", inner).out
    )
    assert (inner / ".capa-migrate/journal").is_dir()


def test_undo_finds_a_rewrite_of_the_repository_around(capa, project, git):
    (project / "app/pyproject.toml").touch()
    git("add", "-A")
    git("commit", "-q", "-m", "a project in it")
    capa("migrate", "apply", project)

    assert "0001  applied" in capa("migrate", "status", project / "app").out
    assert "3 files restored.\n" == capa("migrate", "undo", project / "app").out
