"""Cached plans: a plan is the same whether the cache holds all, a part or none of the files."""

from __future__ import annotations

import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st
from old_files import write_old

from capa_migration.rewrite.plan import Plan, make
from capa_migration.rewrite.target import Options

NAMES = st.sampled_from(
    [
        *("a.py", "b.py", "pkg/c.py", "pkg/celery.py", "requirements.txt", "apollo.py"),
        *("limits.txt", "Dockerfile"),
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
        "",
    ]
)
SCRIPTS = st.just("#!/usr/bin/env python\nimport requests.foo\n")
TREES = st.dictionaries(NAMES | st.just("ping"), TEXTS | SCRIPTS, max_size=5)


@given(TREES, TREES)
@settings(max_examples=40)
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
