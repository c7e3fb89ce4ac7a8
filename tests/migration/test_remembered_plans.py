"""Cached plans: a plan is the same whether the cache holds all, a part or none of the files."""

from __future__ import annotations

import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from old_files import write_old

from capa_migration.rewrite.plan import Plan, make
from capa_migration.rewrite.target import Options

NAMES = st.sampled_from(
    [
        *("a.py", "b.py", "pkg/c.py", "pkg/celery.py", "requirements.txt", "apollo.py"),
        *("limits.txt", "Dockerfile", "names.py", "tests/test_a.py"),
    ]
)
TEXTS = st.sampled_from(
    [
        "import os\n",
        "import requests\n",
        "import requests.foo\n",
        "from apollo import client\n",
        "getLogger('celery')\n",
        "def f(:  # requests\nimport requests\n",
        "requests==2.0\n",
        "-c limits.txt\nrequests\ncapa-core[requests]\n",
        "urllib3==1.20\n",
        "RUN pip install requests -r requirements.txt\n",
        "TARGET = 'requests.get'\n",
        "TARGET = 'requests.get'\npatch(TARGET)\n",
        "from names import TARGET\npatch(TARGET)\n",
        "from names import load\nload('requests')\n",
        "def load(name): return import_module(name)\n",
        "",
    ]
)
SCRIPTS = st.just("#!/usr/bin/env python\nimport requests.foo\n")
TREES = st.dictionaries(NAMES | st.just("ping"), TEXTS | SCRIPTS, max_size=5)


@pytest.mark.timeout(240)
@given(TREES, TREES)
@settings(max_examples=60)
def test_cache_changes_no_plan(before, after):
    with tempfile.TemporaryDirectory() as remembering, tempfile.TemporaryDirectory() as forgetful:
        write_old(remembering, before, 0)
        make(remembering, Options())
        for folder in (remembering, forgetful):
            write_old(folder, before | after, 1)

        assert _comparable(make(forgetful, Options(), remember=False)) == _comparable(
            make(remembering, Options())
        )
        assert _comparable(make(forgetful, Options(), remember=False)) == _comparable(
            make(remembering, Options())
        )


def _comparable(plan: Plan) -> list[object]:
    return [plan.seen, plan.passed_over, *(outcome._replace(digests=("", "")) for outcome in plan.outcomes)]


def test_a_constant_is_looked_at_again_when_a_test_that_may_patch_it_has_changed(tmp_path):
    names, user = {"names.py": "TARGET = 'requests.get'\n"}, "from names import TARGET\npatch({})\n"
    warned = []
    for number, patched in enumerate(("x", "TARGET", "TARGET", "x")):
        write_old(str(tmp_path), {**names, "tests/test_a.py": user.format(patched)}, number)
        names = {}
        warned.append(make(str(tmp_path), Options()).has_warnings(blocking=True))

    assert [False, True, True, False] == warned
