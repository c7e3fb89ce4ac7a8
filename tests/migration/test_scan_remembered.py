"""Cached scans: the results are the same whether the cache holds all, a part or none of the files."""

from __future__ import annotations

import json
import os
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from old_files import OLD_NS, write_old

from capa_migration.rewrite.scan import survey as scan
from capa_migration.rewrite.scan.survey import survey
from capa_migration.rewrite.target import Options

NAMES = st.sampled_from(
    ["a.py", "b.py", "pkg/c.py", "requests.py", "requirements.txt", "Procfile", "n.ipynb"]
)
TEXTS = st.sampled_from(
    [
        "import os\n",
        "import requests\nsession = requests.Session()\n",
        "from a import session\nsession.get(1, proxies=p)\n",
        "from b import session\nimport responses, redis\n",
        "def f(:  # requests\nimport requests\n",
        "requests==2.0\nresponses\n",
        "worker: celery -A app worker\n",
        "{requests",
        "",
    ]
)
TREES = st.dictionaries(NAMES, TEXTS, max_size=5)


@given(TREES, TREES)
@settings(max_examples=20, deadline=None)
def test_cache_changes_no_result(before, after):
    with tempfile.TemporaryDirectory() as remembering, tempfile.TemporaryDirectory() as forgetful:
        write_old(remembering, before, 0)
        survey(remembering, Options())
        for folder in (remembering, forgetful):
            write_old(folder, before | after, 1)
        right = survey(forgetful, Options())._replace(root="")

        assert right == survey(remembering, Options())._replace(root="")
        assert right == survey(remembering, Options())._replace(root="")


@pytest.fixture
def old(project):
    """Return the project with files that were last written long ago."""
    (project / "pyproject.toml").write_text("")
    for path in project.rglob("*"):
        os.utime(path, ns=(OLD_NS, OLD_NS))
    return project


@pytest.fixture
def no_reader(monkeypatch):
    """Let a scan that reads files fail."""

    def scan_again():
        monkeypatch.setattr(scan, "Reader", None)

    return scan_again


def test_a_tree_that_has_not_changed_is_not_read_again(capa, old, no_reader):
    first = capa("scan", old, "--json")
    no_reader()

    assert first == capa("scan", old, "--json")


def test_a_part_of_a_tree_is_recalled_too(capa, old, no_reader):
    capa("scan", old)
    no_reader()
    sites = json.loads(capa("scan", old / "app/api.py", "--json").out)["sites"]

    assert {"app/api.py"} == {site["path"] for site in sites}


def test_a_scan_of_a_part_is_not_taken_for_the_tree(capa, old):
    capa("scan", old / "app/api.py")
    sites = json.loads(capa("scan", old, "--json").out)["sites"]

    assert {"app/api.py", "app/tasks.py"} <= {site["path"] for site in sites}


@pytest.mark.parametrize("text", ["", "capa-settled-files 1 x\n\n", "[]", "\0"])
def test_a_damaged_cache_is_made_again(capa, old, text):
    first = capa("scan", old, "--json")
    (old / ".capa-migrate/scanned").write_text(text)

    assert first == capa("scan", old, "--json")


def test_results_that_are_none_are_made_again(capa, old):
    first = capa("scan", old, "--json")
    cache = old / ".capa-migrate/scanned"
    cache.write_text(cache.read_text().replace('"requests.get"', "7, []"))

    assert first == capa("scan", old, "--json")


def test_a_tree_without_an_sdk_gets_no_cache(capa, tmp_path):
    (tmp_path / "a.py").write_text("import os\n")
    capa("scan", tmp_path)

    assert [tmp_path / "a.py"] == list(tmp_path.iterdir())
