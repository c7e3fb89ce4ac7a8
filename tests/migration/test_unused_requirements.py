"""Requirements of an SDK that no file uses: nothing is added for it, and nothing is asked of it."""

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


UNUSED = "no file of the tree uses requests, so capa-core[requests] is not asked for"
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
