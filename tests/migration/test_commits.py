"""`capa migrate apply --commit`: contents and messages of the commits, and refusals."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from capa_codemods.write.journal import Journal


@pytest.fixture
def repository(project, git):
    """Return git in the project, with an author set."""
    git("config", "user.name", "a")
    git("config", "user.email", "a@example.org")
    return git


def _log(git) -> list[str]:
    return git("log", "--format=%s", "--reverse").splitlines()[1:]


def test_each_rule_is_a_commit_named_with_its_counts(capa, project, repository):
    ran = capa("migrate", "apply", project, "--commit")

    assert 0 == ran.code
    assert ["capa: imports: 2 files, 2 edits", "capa: strings: 1 file, 1 edit"] == _log(repository)
    assert "Imports of an SDK come from its adapter, under the same names." in repository(
        "log", "-1", "HEAD^"
    )
    assert "" == repository("status", "--porcelain")
    assert (
        f"commit {repository('rev-parse', '--short', 'HEAD').strip()} capa: strings: 1 file, 1 edit\n"
        in ran.out
    )
    assert "3 files changed, 3 proven" in ran.out


def test_commits_end_where_apply_ends(capa, project, repository, snapshot):
    (project / "app/both.py").write_text('import requests\nfrom mock import patch\npatch("requests.get")\n')
    repository("add", "-A")
    repository("commit", "-q", "-m", "more")
    capa("migrate", "apply", project)
    applied = snapshot(project)
    capa("migrate", "undo", project)

    ran = capa("migrate", "apply", project, "--commit", "--json")

    assert applied == snapshot(project)
    expected = {"seen": 6, "changed": 4, "proven": 4, "failed": 0, "passed_over": {"kind": 1}}
    assert expected == json.loads(ran.out)["files"]
    assert 2 == len(json.loads(ran.out)["commits"])


def test_every_commit_leaves_a_tree_that_is_proven(capa, project, repository):
    capa("migrate", "apply", project, "--commit")
    repository("checkout", "-q", "HEAD^")

    ran = capa("migrate", "check", project)

    assert 1 == ran.code
    assert "1 file would change, 1 proven; 5 files checked." in ran.out
    assert "imports:" not in ran.out


def test_commits_can_be_cut_by_folder_and_by_owner(capa, project, repository):
    capa("migrate", "apply", project, "--commit", "--split-by", "folder")
    assert ["capa: app: 2 files, 2 edits", "capa: tests: 1 file, 1 edit"] == _log(repository)
    repository("reset", "-q", "--hard", "HEAD~2")
    (project / "CODEOWNERS").write_text("* @all\napp/api.py @api\n")
    repository("add", "-A")
    repository("commit", "-q", "-m", "owners")

    capa("migrate", "apply", project, "--commit", "--split-by", "owner")

    assert ["owners", "capa: @all: 2 files, 2 edits", "capa: @api: 1 file, 1 edit"] == _log(repository)


def test_nothing_to_change_makes_no_commit(capa, project, repository):
    capa("migrate", "apply", project, "--commit")

    ran = capa("migrate", "apply", project, "--commit")

    assert (0, "nothing to do in 5 files\n") == (ran.code, ran.out)
    assert 2 == len(_log(repository))


def test_dirty_tree_is_refused_before_anything_else(capa, project, repository, snapshot):
    (project / "README.md").write_text("other\n")
    before = snapshot(project)

    ran = capa("migrate", "apply", project / "app", "--commit")

    assert (3, before, []) == (ran.code, snapshot(project), _log(repository))
    assert "has uncommitted changes (README.md): commit or stash them first" in ran.err
    assert not (project / ".capa-migrate").exists()


def test_untracked_files_are_neither_committed_nor_in_the_way(capa, project, repository):
    (project / "notes.txt").write_text("mine\n")

    assert 0 == capa("migrate", "apply", project, "--commit").code
    assert "?? notes.txt\n" == repository("status", "--porcelain")


def test_hooks_filters_and_monitors_do_not_run(capa, project, repository, tmp_path):
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\nexit 1\n")
    trap.chmod(0o755)
    for hook in ("pre-commit", "commit-msg", "prepare-commit-msg", "post-commit", "post-index-change"):
        (project / ".git/hooks" / hook).symlink_to(trap)
    for key in ("core.fsmonitor", "filter.trap.clean", "gpg.program", "core.editor"):
        repository("config", key, str(trap))
    repository("config", "commit.gpgSign", "true")

    assert 0 == capa("migrate", "apply", project, "--commit").code
    assert 2 == len(_log(repository))
    assert not (tmp_path / "sprung").exists()


def test_file_behind_a_filter_of_the_repository_is_refused(capa, project, repository, snapshot):
    (project / ".gitattributes").write_text("app/api.py filter=tidy\n")
    repository("add", "-A")
    repository("commit", "-q", "-m", "filter")
    repository("config", "filter.tidy.clean", "cat")
    before = snapshot(project)

    ran = capa("migrate", "apply", project, "--commit")

    assert (3, before) == (ran.code, snapshot(project))
    assert "app/api.py goes through the filter `tidy` of this repository" in ran.err


def test_after_a_run_that_was_cut_short_undo_comes_first(capa, project, repository):
    capa("migrate", "apply", project)
    (record,) = Journal(str(project)).records("applied")
    record.become("applying")

    ran = capa("migrate", "apply", project, "--commit")

    assert 3 == ran.code
    assert f"a run was cut short in {project}: run `capa migrate undo {project}` first" in ran.err


def test_files_that_fail_are_left_out_of_the_commits(capa, project, repository):
    (project / "app/broken.py").write_text("import requests\ndef f(:\n")
    repository("add", "-A")
    repository("commit", "-q", "-m", "broken")

    ran = capa("migrate", "apply", project, "--commit")

    assert 2 == ran.code
    assert "app/broken.py:2: failed: not Python" in ran.out
    assert ["broken", "capa: imports: 2 files, 2 edits", "capa: strings: 1 file, 1 edit"] == _log(repository)


def test_files_of_a_commit_can_be_chosen(capa, project, repository, monkeypatch):
    class Keyboard(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Keyboard("n\ny\nn\n"))

    ran = capa("migrate", "apply", project, "--commit", "-i")

    assert 0 == ran.code
    assert ["capa: imports: 1 file, 1 edit"] == _log(repository)


def test_outside_git_there_is_nothing_to_commit_to(capa, project):
    ran = capa("migrate", "apply", project, "--commit")

    assert 3 == ran.code
    assert "is not in a git work tree: run `git init` and commit first, or leave out --commit" in ran.err


def test_without_an_author_nothing_is_begun(capa, project, git, monkeypatch, snapshot):
    git("config", "user.useConfigOnly", "true")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    before = snapshot(project)

    ran = capa("migrate", "apply", project, "--commit")

    assert (3, before) == (ran.code, snapshot(project))
    assert "git knows no author: `git config user.name`" in ran.err


def test_commit_that_git_refuses_is_undone(capa, project, repository, snapshot):
    before = snapshot(project)
    (project / ".git/index.lock").touch()

    ran = capa("migrate", "apply", project, "--commit")
    (project / ".git/index.lock").unlink()

    assert (2, before, "") == (ran.code, snapshot(project), repository("status", "--porcelain"))
    assert "git could not commit in" in ran.err
    assert "index.lock" in ran.err


def test_commit_and_allow_dirty_exclude_each_other(capa, project):
    ran = capa("migrate", "apply", project, "--commit", "--allow-dirty")

    assert 3 == ran.code
    assert "not allowed with argument" in ran.err


def test_commit_of_a_part_of_the_repository(capa, project, repository):
    (project / "app/pyproject.toml").write_text("")
    repository("add", "-A")
    repository("commit", "-q", "-m", "part")

    assert 0 == capa("migrate", "apply", project / "app", "--commit").code
    assert ["part", "capa: imports: 2 files, 2 edits"] == _log(repository)
    assert (
        ""
        == subprocess.run(
            ["git", "-C", project, "status", "--porcelain"], capture_output=True, text=True, check=True
        ).stdout
    )


@pytest.mark.parametrize("asked", ["command line", "pyproject"])
def test_rule_named_by_with_has_a_commit_of_its_own(capa, project, repository, snapshot, asked):
    words = ["--with", "requests-timeout"] if asked == "command line" else []
    table = "" if words else '[tool.capa.migrate]\nwith = ["requests-timeout"]\n'
    (project / "pyproject.toml").write_text(table)
    repository("add", "-A")
    repository("commit", "-q", "-m", "asked")
    capa("migrate", "apply", project, *words)
    applied = snapshot(project)
    capa("migrate", "undo", project)

    ran = capa("migrate", "apply", project, "--commit", *words)

    assert (0, applied) == (ran.code, snapshot(project))
    assert "Calls of requests without timeout= get" in repository("log")
    assert ["imports", "requests-timeout", "strings"] == sorted(
        line.split(": ")[1] for line in _log(repository)[1:]
    )


def test_rules_for_shapes_see_the_names_as_they_have_moved(capa, project, repository):
    (project / "app/tasks.py").write_text("from celery import Celery\n\nCelery(broker='redis://h')\n")
    repository("commit", "-q", "-a", "-m", "an address")
    capa("migrate", "apply", project, "--commit", "--with", "addresses")

    assert "Celery(broker='capa://h')" in (project / "app/tasks.py").read_text()
    assert 0 == capa("migrate", "check", project, "--with", "addresses").code
