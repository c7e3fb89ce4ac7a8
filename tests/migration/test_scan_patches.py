"""Patch targets count as uses of what they name, before and after they have moved."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def patched(capa, tmp_path):
    """Return a function that returns the patch targets of a test file: those left, and those that have moved."""

    def run(source: str) -> tuple[list[tuple[int, str, str]], ...]:
        (tmp_path / "test_a.py").write_text(source)
        data = json.loads(capa("scan", tmp_path, "--json").out)
        return tuple(
            [(one["line"], one["name"], one["support"]) for one in data[part] if one["kind"] == "patch"]
            for part in ("sites", "moved")
        )

    return run


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            "from unittest.mock import patch\n@patch('requests.get')\ndef test(get): ...\n",
            (2, "requests.get"),
        ),
        ("def test(mocker):\n    mocker.patch('requests.Session.send')\n", (2, "requests.Session.send")),
        ("def test(monkeypatch):\n    monkeypatch.setattr('requests.get', 1)\n", (2, "requests.get")),
        ("TARGET = 'requests.get'\n@patch(TARGET)\ndef test(get): ...\n", (1, "requests.get")),
    ],
)
def test_target_is_counted_at_its_string(patched, source, expected):
    assert ([(*expected, "full")], []) == patched(source)


@pytest.mark.parametrize(
    "source",
    [
        "client.patch('requests.json')\n",
        "patch('app.requests.get')\n",
        "log = getLogger('requests')\n",
        "x = 'requests.get'\n",
        "mocker.patch('requests')\n",
    ],
)
def test_other_string_is_not_counted(patched, source):
    assert ([], []) == patched(source)


def test_target_that_has_moved_is_counted_under_its_old_name(patched):
    assert ([], [(1, "requests.get", "full")]) == patched("patch('capa_requests.get')\n")


def test_rewrite_moves_each_counted_target(capa, project):
    def targets(part):
        data = json.loads(capa("scan", project, "--json").out)
        return [(one["path"], one["name"]) for one in data[part] if one["kind"] == "patch"]

    before = targets("sites")
    capa("migrate", "apply", project)

    assert ([("tests/test_api.py", "requests.get")], []) == (before, targets("sites"))
    assert before == targets("moved")


def test_target_that_is_not_served_is_listed(capa, tmp_path):
    (tmp_path / "test_a.py").write_text("import redis\npatch('redis.Redis.get')\n")

    assert (
        "  2  none  patch of redis.Redis.get: there is no capa_redis yet; use `State.get` [unserved]\n"
        in capa("scan", tmp_path).out
    )


def test_target_in_a_cell_has_its_line_of_the_notebook(capa, tmp_path):
    cells = [
        {
            "cell_type": "code",
            "metadata": {},
            "outputs": [],
            "source": ["import requests\n", "patch('requests.get')"],
        }
    ]
    text = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)
    (tmp_path / "a.ipynb").write_text(text)
    (site,) = (
        one for one in json.loads(capa("scan", tmp_path, "--json").out)["sites"] if one["kind"] == "patch"
    )

    assert "\"patch('requests.get')\"" == text.splitlines()[site["line"] - 1].strip()
