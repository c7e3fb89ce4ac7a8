"""Requirements of an SDK of which nothing moves: nothing is added for it, and nothing is asked of it."""

from __future__ import annotations

import json
import re

import pytest


@pytest.fixture
def changes(capa, tmp_path):
    """Return the requirements of Capa that are added to a tree of these files, and the messages of its manifests."""

    def run(**files: str) -> tuple[list[str], list[str]]:
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        data = json.loads(capa("migrate", "check", tmp_path, "--notes", "--json").out)
        edits = [edit["after"] for change in data["changes"] for edit in change["edits"]]
        messages = [one["message"] for one in data["findings"] if not one["path"].endswith(".py")]
        return [found for one in edits for found in re.findall(r"capa-core\[[^]]*]", one)], messages

    return run


UNUSED = "nothing of requests moves in this tree, so capa-core[requests] is not asked for"
CODE = "from celery import Celery\n"


@pytest.mark.parametrize(
    ("name", "text", "added"),
    [
        ("requirements.txt", "celery\nrequests\n", "capa-core[celery]"),
        ("requirements.txt", "celery\nrequests==2.0\n", "capa-core[celery]"),
        (
            "pyproject.toml",
            '[project]\nname = "a"\nversion = "1"\ndependencies = ["celery", "requests<2"]\n',
            "capa-core[celery]",
        ),
    ],
)
def test_nothing_is_asked_for_an_sdk_that_no_file_uses(changes, name, text, added):
    edits, messages = changes(**{"app.py": CODE, name: text})

    assert ([added], [UNUSED]) == (edits, messages)


@pytest.mark.parametrize(
    "code",
    [
        "import requests\n",
        "import capa_requests as requests\n",
        "patch('requests.get')\n",
        "if x:\n    from requests.adapters import HTTPAdapter\n",
        "lazy import requests\n",
    ],
)
def test_an_sdk_is_used_by_an_import_or_a_string(changes, code):
    edits, messages = changes(**{"app.py": CODE, "other.py": code, "requirements.txt": "celery\nrequests\n"})

    assert ["capa-core[celery,requests]"] == edits
    assert [] == [one for one in messages if one == UNUSED]


def test_an_sdk_is_used_by_a_notebook_or_a_script(changes):
    cell = {"cell_type": "code", "source": ["import requests\n"], "metadata": {}, "outputs": []}
    notebook = json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    for files in ({"a.ipynb": notebook}, {"a.ipynb": "", "run": "#!/usr/bin/env python\nimport requests\n"}):
        edits, _ = changes(**{"app.py": CODE, "requirements.txt": "requests\n", **files})

        assert ["capa-core[requests]"] == edits


def test_a_tree_without_python_may_hold_the_requirements_of_other_code(changes):
    assert (["capa-core[requests]"], []) == changes(**{"requirements.txt": "requests\n"})


def test_a_later_import_is_seen_though_the_manifest_has_not_changed(changes):
    changes(**{"app.py": CODE, "requirements.txt": "requests\n"})
    edits, _ = changes(**{"app.py": "import requests\n"})

    assert ["capa-core[requests]"] == edits


REMOVED = "from celery.task import task\n"
HEADER = '# /// script\n# dependencies = ["celery", "requests"]\n# ///\n'


@pytest.mark.parametrize(
    "code",
    [
        REMOVED,
        "import celery.task\n",
        "from celery import Celery  # capa: ignore[imports]\n",
        "import_module('celery.task')\n",
        "def f(): return getLogger('celery.app')\n",
        "MODULE = 'celery'\nprint(MODULE)\n",
    ],
)
def test_an_sdk_whose_use_stays_on_the_original_is_not_asked_for(changes, code):
    edits, messages = changes(**{"app.py": code, "requirements.txt": "celery\n"})

    assert ([], [UNUSED.replace("requests", "celery")]) == (edits, messages)


def test_neither_is_one_that_only_a_vendored_copy_of_capa_uses(capa, tmp_path):
    package = tmp_path / "shop/capa_requests"
    package.mkdir(parents=True)
    (tmp_path / "shop/__init__.py").touch()
    (package / "__init__.py").write_text("from requests import *\nfrom capa_requests._sdk import SDK\n")
    (tmp_path / "requirements.txt").write_text("requests\n")

    assert 0 == capa("migrate", "check", tmp_path).code


def test_the_header_of_a_script_asks_only_for_what_moves(changes):
    edits, _ = changes(**{"run.py": f"{HEADER}import requests\n{REMOVED}"})

    assert ["capa-core[requests]"] == edits


def test_the_warnings_about_the_code_of_such_a_script_stay(capa, tmp_path):
    (tmp_path / "run.py").write_text(HEADER.replace(', "requests"', "") + REMOVED)
    data = json.loads(capa("migrate", "check", tmp_path, "--json").out)

    assert [] == data["changes"]
    assert ["imports"] == [one["rule"] for one in data["findings"]]


def test_an_image_need_not_install_capa_for_an_sdk_of_which_nothing_moves(changes):
    _, messages = changes(**{"app.py": REMOVED, "Dockerfile": "RUN pip install celery requests\n"})

    assert {UNUSED, UNUSED.replace("requests", "celery")} == set(messages)


def test_an_image_with_an_sdk_that_moves_must_install_capa(changes):
    _, messages = changes(**{"app.py": CODE, "Dockerfile": "RUN pip install celery\n"})

    assert ["`pip install celery` installs an SDK and not capa-core[celery]"] == messages


def test_a_run_of_one_rule_asks_for_what_the_others_move(capa, tmp_path):
    (tmp_path / "app.py").write_text("import requests\n")
    (tmp_path / "requirements.txt").write_text("requests\n")

    assert "capa-core[requests]" in capa("migrate", "diff", tmp_path, "--only", "requirements").out
