"""The proof refuses everything but the old tree under new names."""

from __future__ import annotations

import sys

import pytest

from capa_codemods.file_rewrite import FileRewrite
from capa_codemods.findings import Edit
from capa_codemods.proof import flaw_of
from capa_codemods.read.python_file import PythonFile
from capa_codemods.write.splice import ordered_edits, splice

OLD = b"import os, requests\nfrom requests import get\nx = get('requests.get')\n\n\ndef f():\n    return x\n"


def _flaw(names, old: bytes, before: bytes, after: bytes) -> str | None:
    start = old.index(before)
    edits = ordered_edits([Edit(start, start + len(before), after, "test")])
    return flaw_of(FileRewrite(PythonFile("a.py", old), (), edits, splice(old, edits)), names)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"requests\n", b"capa_requests as requests\n"),
        (b"requests import", b"capa_requests import"),
        (b"'requests.get'", b"'capa_requests.get'"),
        (b"from requests import get\n", b"from capa_requests import get\n\n"),
    ],
)
def test_new_names_for_old_names_are_proven(names, before, after):
    assert None is _flaw(names, OLD, before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"requests\n", b"capa_requests\n"),
        (b"requests\n", b"capa_requests as r\n"),
        (b"requests\n", b"capa_celery as requests\n"),
        (b"os, requests", b"capa_requests as requests, os"),
        (b"requests import", b"capa_celery import"),
        (b"import get", b"import post"),
        (b"import get", b"import get as g"),
        (b"from requests", b"from .requests"),
        (b"'requests.get'", b"'capa_requests.post'"),
        (b"'requests.get'", b"'capa_requestsxget'"),
        (b"'requests.get'", b"b'requests.get'"),
        (b"'requests.get'", b"u'requests.get'"),
        (b"x = get", b"y = get"),
        (b"return x", b"return (x,)"),
        (b"return x", b"pass"),
        (b"return x\n", b"return x\n    x\n"),
        (b"def f():", b"async def f():"),
        (b"    return x", b"    pass\nreturn x"),
        (b"import os, requests\n", b"import os, requests\nimport requests\n"),
        (b"import os, requests\n", b""),
        (b"os, ", b"os, '''"),
    ],
)
def test_anything_else_is_a_flaw(names, before, after):
    assert _flaw(names, OLD, before, after)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"import requests.exceptions\n", b"import capa_requests.exceptions\n"),
        (b"import requests.exceptions\n", b"import capa_requests.exceptions as requests\n"),
        (b"import requests.exceptions\n", b"import capa_requests as requests\n"),
        (b"import requests.exceptions\n", b"import capa_requests.exceptions, capa_celery as requests\n"),
        (b"import requests.exceptions as e\n", b"import capa_requests.exceptions, capa_requests as e\n"),
        (
            b"import requests.exceptions as requests\n",
            b"import capa_requests.exceptions, capa_requests as requests\n",
        ),
        (b"from requests import a, b\n", b"from capa_requests import a\n"),
        (b"from requests import a, b\n", b"from capa_requests import b\nfrom requests import a\n"),
        (b"from requests import a\n", b"import capa_requests as a\n"),
    ],
)
def test_import_that_binds_something_else_is_a_flaw(names, old, new):
    assert _flaw(names, old, old, new)


def test_bytes_changed_outside_the_edits_are_a_flaw(names):
    edits = ordered_edits([Edit(10, 18, b"capa_requests as requests", "test")])
    new = splice(OLD, edits).replace(b"return x", b"return  x")

    assert "bytes outside the edits differ" == flaw_of(
        FileRewrite(PythonFile("a.py", OLD), (), edits, new), names
    )


def test_overlapping_edits_are_refused():
    with pytest.raises(ValueError, match="edits of a and b overlap at byte 3"):
        ordered_edits([Edit(0, 4, b"x", "a"), Edit(3, 5, b"y", "b")])


def test_failed_proof_leaves_the_file_and_reports_it(names, tmp_path, monkeypatch):
    from capa_codemods.pipeline.rewrite import Rewrite
    from capa_codemods.project import Project
    from capa_codemods.rules.imports import Imports

    monkeypatch.setattr(
        Imports, "check", lambda self, file, project: iter([Edit(0, 6, b"export", "imports")])
    )
    outcome = Rewrite(Project(str(tmp_path), names, []), [Imports()]).examine_data(
        "a.py", b"import requests\n"
    )

    assert "failed" == outcome.status
    assert outcome.reason.startswith("the rewrite could not be proven: the result is no longer Python")
    assert () == outcome.edits


@pytest.mark.parametrize(
    "old",
    [
        b"import requests\\\n\nx = 1\n",
        b"import requests\\\r\n\\\r\n  \r\nx = [\r\n]\r\n",
        b"import requests  # C:\\\nx = [\n]\n",
        b"if x:\n    import requests; \\\n# end\n",
    ],
)
def test_statement_that_goes_on_behind_its_last_word_is_proven(names, old):
    assert None is _flaw(names, old, b"requests", b"capa_requests as requests")


def _calls(names, statements: int) -> int:
    """Return the number of calls, of generators each step, that a proof of that many statements takes."""
    text = b"import requests\nx = 1\n" * statements
    old = PythonFile("a.py", text)
    starts = range(len(b"import "), len(text), len(text) // statements)
    edits = ordered_edits(Edit(at, at + 8, b"capa_requests as requests", "test") for at in starts)
    rewrite = FileRewrite(old, (), edits, splice(text, edits))
    counted = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal counted
        counted += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        assert None is flaw_of(rewrite, names)
    finally:
        sys.setprofile(before)
    return counted


def test_the_work_of_a_proof_grows_with_the_number_of_edits(names):
    _calls(names, 1)  # what is loaded when it is first used

    assert _calls(names, 400) < 2.5 * _calls(names, 200)
