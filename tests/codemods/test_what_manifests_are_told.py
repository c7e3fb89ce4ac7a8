# ruff: noqa: E501 - tables of texts, which are easier to compare unbroken
"""Messages about manifests: each is true where it is given, and is not given where it would be untrue."""

from __future__ import annotations

import importlib.util

import pytest

POETRY = '[tool.poetry.dependencies]\nrequests = "*"\n'
WITH_CAPA = POETRY + 'capa-core = {version = "*", extras = ["requests"]}\n'
BUILD = "[build-system]\nrequires = ['requests']\n"


@pytest.mark.parametrize(
    ("path", "source", "lock", "text", "reported"),
    [
        ("pyproject.toml", POETRY, "poetry.lock", "requests", ("poetry.lock lacks the change", "run `poetry lock`")),
        ("pyproject.toml", WITH_CAPA, "poetry.lock", "requests", ("poetry.lock lacks capa-core, which this file requires", "run `poetry lock`")),
        ("pyproject.toml", POETRY, "pylock.toml", "requests", ("pylock.toml lacks the change", "run the command that wrote it")),
        ("pyproject.toml", "[project]\ndependencies = ['requests']\n", "requirements.lock", "", ("requirements.lock lacks the change", "run `rye lock`")),
        ("Pipfile", "[packages]\nrequests = '*'\ncapa-core = {version='*', extras=['requests']}\n", "Pipfile.lock", "{}", ("Pipfile.lock lacks capa-core, which this file requires", "run `pipenv lock`")),
        ("environment.yml", "dependencies:\n- pip:\n  - requests\n  - capa-core[requests]\n", "conda-lock.yml", "", ("conda-lock.yml lacks capa-core, which this file requires", "run `conda-lock lock --file environment.yml`")),
    ],
)  # fmt: skip
def test_lock_file_that_lacks_capa_is_named(rewritten, path, source, lock, text, reported):
    (finding,) = rewritten(source, path, {lock: text}).outcome.findings

    assert reported == (finding.message, finding.next_step)


@pytest.mark.parametrize(
    ("path", "source", "lock", "text"),
    [
        ("pyproject.toml", WITH_CAPA, "poetry.lock", 'name = "capa-core"\n'),
        ("pyproject.toml", BUILD, "uv.lock", ""),
        ("pyproject.toml", "[tool.hatch.envs.x]\ndependencies = ['requests']\n", "uv.lock", ""),
        ("pyproject.toml", "[tool.poetry.dependencies]\nflask = '*'\n", "poetry.lock", ""),
        ("sub/pyproject.toml", POETRY, "other/poetry.lock", ""),
        ("requirements.txt", "requests\n", "poetry.lock", ""),
        ("environment.yml", "dependencies:\n- pip:\n  - requests\n  - capa-core[requests]\n", "conda-lock.yml", "- name: capa-core\n"),
    ],
)  # fmt: skip
def test_lock_file_that_lacks_nothing_is_not_named(rewritten, path, source, lock, text):
    assert [] == rewritten(source, path, {lock: text}).messages


@pytest.mark.parametrize(
    ("source", "reported"),
    [
        ("- requests\n", ("it has no list for pip", "add a `pip:` list with it")),
        ("- requests\n- pip:\n  - -r more.txt\n", ("its list for pip has no requirement to put it beside", "add it to that list by hand")),
        ("- pip: [requests]\n", ("not every item has a line of its own", "add it by hand")),
        ("- requests\n- &a flask\n", ("it has anchors, which are not followed", "add it by hand")),
        ("- requests\n- [\n", ("it cannot be read as YAML", "add it by hand")),
    ],
)  # fmt: skip
def test_reason_why_a_conda_environment_stays_is_the_true_one(rewritten, source, reported):
    result = rewritten(f"dependencies:\n{source}", "environment.yml")

    (finding,) = result.outcome.findings
    assert (f"requires requests without capa-core[requests]: {reported[0]}", reported[1]) == finding[3:5]


@pytest.mark.parametrize("comment", ["# use *args, not &b", "x: 1 # *a"])
def test_anchor_in_a_comment_is_none(rewritten, comment):
    result = rewritten(f"{comment}\ndependencies:\n- pip:\n  - requests\n", "environment.yml")

    assert ([], True) == (result.messages, b"- capa-core[requests]" in result.text)


def test_missing_reader_of_yaml_is_told(rewritten, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    (finding,) = rewritten("dependencies:\n- pip:\n  - requests\n", "environment.yml").outcome.findings

    assert (
        "requires requests without capa-core[requests]: PyYAML is not installed to read it",
        "pip install 'capa-core[migrate]' and run again",
    ) == finding[3:5]


@pytest.mark.parametrize(
    ("head", "files", "step"),
    [
        ("generated from pyproject.toml, do not edit", {"pyproject.toml": POETRY}, "make it again, as its head reads `{}`"),
        ("generated from pyproject.toml, do not edit", {"pyproject.toml": "[project]\n"}, "add it to the source of the file, whose head reads `{}`"),
        ("generated from pyproject.toml, do not edit", {}, "add it to the source of the file, whose head reads `{}`"),
        ("do not edit: use requirements/base.in", {"requirements/base.in": "capa-core[requests]\nrequests\n"}, "make it again, as its head reads `{}`"),
    ],
)  # fmt: skip
def test_step_for_a_file_that_forbids_editing_is_the_one_that_is_left(rewritten, head, files, step):
    (finding,) = rewritten(f"# {head}\nrequests\n", "requirements.txt", files).outcome.findings

    assert step.format(head) == finding.next_step


@pytest.mark.parametrize(
    ("path", "source", "reported"),
    [
        ("pyproject.toml", '[tool.tox]\nlegacy_tox_ini = "[testenv]\\ndeps=requests"\n', "legacy_tox_ini requires an SDK without capa-core[requests]"),
        ("pyproject.toml", "[tool.poetry.dependencies]\nrequests = {version = '*', optional = true}\n", "tool.poetry.dependencies: requests is required under a condition and capa-core[requests] is not"),
        ("pyproject.toml", POETRY + "capa-core = '*'\n", "tool.poetry.dependencies: capa-core is required without [requests]"),
        ("setup.py", "X = ['requests']\nsetup(install_requires=X)\n", "lists an SDK without capa-core[requests]: the list is not literal in `setup(…)`"),
        ("pyproject.toml", "[tool.pixi.dependencies]\nrequests = '*'\n", "tool.pixi.dependencies: requests comes from conda, which has no capa-core[requests]"),
    ],
)  # fmt: skip
def test_place_that_lacks_capa_is_named(rewritten, path, source, reported):
    assert [reported] == rewritten(source, path).messages


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("pyproject.toml", '[tool.tox]\nlegacy_tox_ini = "[testenv]\\ndeps=requests\\n  capa-core[requests]"\n'),
        ("pyproject.toml", '[tool.tox]\nlegacy_tox_ini = "[testenv]\\ncommands=requests"\n'),
        ("pyproject.toml", WITH_CAPA.replace('"*"\n', "{version = '*', optional = true}\n", 1)),
        ("pyproject.toml", WITH_CAPA),
        ("pyproject.toml", POETRY + "capa-core = {version = '*', extras = ['all']}\n"),
        ("setup.py", "X = ['requests', 'capa-core[requests]']\nsetup(install_requires=X)\n"),
        ("pyproject.toml", "[tool.pixi.dependencies]\nrequests = '*'\n[tool.pixi.pypi-dependencies]\ncapa-core = {version='*', extras=['requests']}\n"),
    ],
)  # fmt: skip
def test_place_that_lacks_nothing_is_not_named(rewritten, path, source):
    result = rewritten(source, path)

    assert ([], source.encode()) == (result.messages, result.text)
