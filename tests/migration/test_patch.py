"""`capa migrate diff --patch`, and the parts that `--split-by` cuts."""

from __future__ import annotations

import sys

import pytest

CODEOWNERS = """\
# owners by path
*            @org/everybody
/app/        @org/app @ann  # ask @bob when they are away
/app/tasks.py ann@example.org
docs/*       @org/docs
/tests/
"""


@pytest.fixture
def owned(project):
    (project / ".github").mkdir()
    (project / ".github/CODEOWNERS").write_text(CODEOWNERS)
    (project / "top.py").write_text("import requests\n")
    return project


def _patches(folder):
    return sorted(path.name for path in folder.glob("*.patch"))


def test_patch_is_written_whole_and_git_applies_it(capa, project, git, snapshot, tmp_path):
    ran = capa("migrate", "diff", project, "--patch", tmp_path / "capa.patch")
    capa("migrate", "apply", project)
    applied = snapshot(project)
    capa("migrate", "undo", project)

    git("apply", str(tmp_path / "capa.patch"))

    assert (1, applied) == (ran.code, snapshot(project))
    assert f"{tmp_path}/capa.patch: 3 files\n" == ran.out
    assert "3 files would change, 3 proven" in ran.err
    assert ["capa.patch", "project"] == sorted(path.name for path in tmp_path.iterdir())


def test_patch_is_cut_by_owner_and_the_last_match_wins(capa, owned, tmp_path):
    ran = capa("migrate", "diff", owned, "--patch", tmp_path / "p.patch", "--split-by", "owner")

    assert [
        "p-ann-example.org.patch",
        "p-no-owner.patch",
        "p-org-app-ann.patch",
        "p-org-everybody.patch",
    ] == (_patches(tmp_path))
    assert "+++ b/app/tasks.py" in (tmp_path / "p-ann-example.org.patch").read_text()
    assert "+++ b/tests/test_api.py" in (tmp_path / "p-no-owner.patch").read_text()
    assert f"{tmp_path}/p-org-app-ann.patch: @org/app @ann: 1 file\n" in ran.out


@pytest.mark.parametrize("place", [".github", ".", "docs"])
def test_codeowners_is_found_where_github_looks(capa, project, git, tmp_path, place):
    (project / place).mkdir(exist_ok=True)
    (project / place / "CODEOWNERS").write_text("/app/api.py @api\n")

    capa("migrate", "diff", project / "app", "--patch", tmp_path / "p.patch", "--split-by", "owner")

    assert ["p-api.patch", "p-no-owner.patch"] == _patches(tmp_path)


def test_owners_are_matched_from_the_top_of_the_repository(capa, owned, git, tmp_path):
    (owned / "app/pyproject.toml").write_text("")

    capa("migrate", "diff", owned / "app", "--patch", tmp_path / "p.patch", "--split-by", "owner")

    assert ["p-ann-example.org.patch", "p-org-app-ann.patch"] == _patches(tmp_path)


def test_patch_is_cut_by_folder(capa, owned, tmp_path):
    capa("migrate", "diff", owned, "--patch", tmp_path / "p.patch", "--split-by", "folder")

    assert ["p-app.patch", "p-tests.patch", "p-top-folder.patch"] == _patches(tmp_path)


def test_names_that_differ_in_signs_alone_do_not_share_a_file(capa, project, tmp_path):
    (project / "CODEOWNERS").write_text("/app/api.py @a/b\n/app/tasks.py @A-b\n")

    capa("migrate", "diff", project, "--patch", tmp_path / "p.patch", "--split-by", "owner")

    assert ["p-A-b.patch", "p-a-b-2.patch", "p-no-owner.patch"] == _patches(tmp_path)


def test_without_codeowners_split_by_owner_fails_and_writes_nothing(capa, project, tmp_path):
    ran = capa("migrate", "diff", project, "--patch", tmp_path / "p.patch", "--split-by", "owner")

    assert (3, []) == (ran.code, _patches(tmp_path))
    assert "there is none of .github/CODEOWNERS, CODEOWNERS, docs/CODEOWNERS: write one of them" in ran.err


def test_codeowners_that_cannot_be_read_is_named(capa, project, tmp_path):
    (project / "CODEOWNERS").write_bytes(b"* @\xff\n")

    ran = capa("migrate", "diff", project, "--patch", tmp_path / "p.patch", "--split-by", "owner")

    assert (3, []) == (ran.code, _patches(tmp_path))
    assert f"{project}/CODEOWNERS: cannot be read: 'utf-8' codec can't decode" in ran.err


def test_without_the_library_for_owners_the_extra_is_named(capa, owned, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "codeowners", None)

    ran = capa("migrate", "diff", owned, "--patch", tmp_path / "p.patch", "--split-by", "owner")

    assert 3 == ran.code
    assert "--split-by owner needs a library: pip install 'capa-core[migrate]'" in ran.err


@pytest.mark.parametrize(("action", "needed"), [("diff", "--patch"), ("apply", "--commit")])
def test_split_by_needs_something_to_cut(capa, project, action, needed):
    ran = capa("migrate", action, project, "--split-by", "folder")

    assert 3 == ran.code
    assert f"--split-by cuts the output of {needed}: give {needed} too" in ran.err


def test_patch_that_cannot_be_written_leaves_the_old_one(capa, project, tmp_path):
    (tmp_path / "p.patch").mkdir()

    ran = capa("migrate", "diff", project, "--patch", tmp_path / "p.patch")

    assert 3 == ran.code
    assert f"{tmp_path}/p.patch: cannot be written: Is a directory: name another file" in ran.err
