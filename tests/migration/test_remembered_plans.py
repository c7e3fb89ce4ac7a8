"""Cached plans: a plan is the same whether the cache holds all, a part or none of the files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from capa_migration.rewrite.plan import Plan, make
from capa_migration.rewrite.target import Options

OLD_NS = 10**18
NAMES = st.sampled_from(["a.py", "b.py", "pkg/c.py", "pkg/celery.py", "requirements.txt", "apollo.py"])
TEXTS = st.sampled_from(
    [
        "import os\n",
        "import requests\n",
        "import requests.foo\n",
        "from apollo import client\n",
        "getLogger('celery')\n",
        "def f(:  # requests\nimport requests\n",
        "requests==2.0\n",
        "",
    ]
)
TREES = st.dictionaries(NAMES, TEXTS, max_size=5)


@given(TREES, TREES)
@settings(max_examples=40)
def test_cache_changes_no_plan(before, after):
    with tempfile.TemporaryDirectory() as remembering, tempfile.TemporaryDirectory() as forgetful:
        _write(remembering, before, 0)
        make(remembering, Options())
        for folder in (remembering, forgetful):
            _write(folder, before | after, 1)

        assert _comparable(make(forgetful, Options(), remember=False)) == _comparable(
            make(remembering, Options())
        )
        assert _comparable(make(forgetful, Options(), remember=False)) == _comparable(
            make(remembering, Options())
        )


def _write(folder: str, files: dict[str, str], later_ns: int) -> None:
    for name, text in files.items():
        path = Path(folder, name)
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            os.utime(path, ns=(OLD_NS + later_ns, OLD_NS + later_ns))


def _comparable(plan: Plan) -> list[object]:
    return [plan.seen, *(outcome._replace(digests=("", "")) for outcome in plan.outcomes)]
