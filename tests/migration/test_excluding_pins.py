"""Pins that exclude Capa: the manifest stays, and `check` fails until they are moved."""

import json

import pytest

PIN = "requirements.txt:1: error: `requests==2.25.1` excludes capa-core[requests], which needs requests>=2.32,<3."


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "app.py").write_text("import requests\n")
    (tmp_path / "requirements.txt").write_text("requests==2.25.1\n")
    return tmp_path


def test_code_moves_and_the_manifest_stays(capa, tree):
    applied = capa("migrate", "apply", tree)

    assert 2 == applied.code
    assert "requests==2.25.1\n" == (tree / "requirements.txt").read_text()
    assert "import capa_requests as requests\n" == (tree / "app.py").read_text()


def test_check_fails_until_the_pin_is_moved(capa, tree):
    capa("migrate", "apply", tree)
    pinned = capa("migrate", "check", tree)
    (tree / "requirements.txt").write_text("requests==2.32.5\ncapa-core[requests]\n")
    moved = capa("migrate", "check", tree)

    assert (2, 0) == (pinned.code, moved.code)
    assert PIN in pinned.out
    assert "nothing to change; 1 error; 2 files checked." in pinned.out


def test_the_error_is_data(capa, tree):
    found = json.loads(capa("migrate", "check", tree, "--json").out)

    assert 2 == found["exit"]
    assert [("requirements.txt", 1, "error")] == [
        (one["path"], one["line"], one["level"]) for one in found["findings"]
    ]


def test_scan_names_the_pin_as_check_does(capa, tree):
    (tree / "pyproject.toml").write_text('[project]\ndependencies = ["requests", "pydantic<2"]\n')
    checked = json.loads(capa("migrate", "check", tree, "--json").out)["findings"]
    scans = [json.loads(capa("scan", tree, "--json").out) for _ in range(2)]
    named = [(one["path"], one["line"], one["rule"], one["message"]) for one in checked]

    assert ["pyproject.toml", "requirements.txt"] == [path for path, *_ in named]
    for scan in scans:  # the second one is from the cache
        assert named == [(one["path"], one["line"], one["rule"], one["reason"]) for one in scan["excluding"]]
    assert PIN.removeprefix("requirements.txt:1: error: ") in capa("scan", tree).out


@pytest.mark.parametrize("runs", [1, 2, 3])
def test_check_fails_from_the_cache_too(capa, tree, runs):
    assert {2} == {capa("migrate", "check", tree).code for _ in range(runs)}
