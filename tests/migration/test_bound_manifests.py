"""Manifests that depend on others: their outcome follows the others, also from the cache of settled files."""

import os

import pytest


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "requirements.txt").write_text("capa-core[requests]\nrequests\n-c limits.txt\n")
    (tmp_path / "limits.txt").write_text("urllib3==2.5.0\n")
    (tmp_path / "Dockerfile").write_text("RUN pip install requests -r requirements.txt\n")
    for path in tmp_path.iterdir():
        os.utime(path, ns=(10**18, 10**18))  # long settled
    return tmp_path


def test_pin_in_an_included_file_is_seen_after_a_clean_run(capa, tree):
    clean = [capa("migrate", "check", tree).code for _ in range(2)]
    (tree / "limits.txt").write_text("urllib3==1.20\n")
    pinned = capa("migrate", "check", tree)
    (tree / "limits.txt").write_text("urllib3==2.5.0\n")
    mended = capa("migrate", "check", tree)

    assert ([0, 0], 2, 0) == (clean, pinned.code, mended.code)
    assert "requirements.txt:1: error: `urllib3==1.20` in limits.txt, line 1, excludes" in pinned.out


def test_command_is_judged_anew_when_its_file_changes(capa, tree):
    clean = [capa("migrate", "check", tree).out for _ in range(2)]
    (tree / "requirements.txt").write_text("flask\n")
    bare = capa("migrate", "check", tree).out

    assert ["nothing to do in 3 files\n"] * 2 == clean
    assert "Dockerfile:1: warning: `pip install requests -r requirements.txt` installs an SDK" in bare


def test_lock_file_that_is_made_again_is_no_longer_named(capa, tree):
    manifest = (
        "[tool.poetry.dependencies]\nrequests = '*'\ncapa-core = {version = '*', extras = ['requests']}\n"
    )
    (tree / "pyproject.toml").write_text(manifest)
    (tree / "poetry.lock").write_text("requests")
    for path in tree.iterdir():
        if path.is_file():
            os.utime(path, ns=(10**18, 10**18))
    stale = [capa("migrate", "check", tree).out for _ in range(2)]
    (tree / "poetry.lock").write_text("requests capa-core")
    made = capa("migrate", "check", tree).out

    assert all("poetry.lock lacks capa-core" in out for out in stale)
    assert "poetry.lock" not in made
