"""Files that are newer than the running interpreter are read by another parser, and proven all the same."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="this interpreter knows the syntax itself"
)

NEWER = "type X[T] = list[T]\n\n\ndef f[T](x: T) -> T:\n    print(f'{x['a']}')\n    return x\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import requests\n", "import capa_requests as requests\n"),
        ("import os, requests.exceptions as e\n", "import os, capa_requests.exceptions as e\n"),
        ("from requests import (\n    get,  # é\n)\n", "from capa_requests import (\n    get,  # é\n)\n"),
        ("é = 1; from requests import get, packages\n",
         "é = 1; from capa_requests import get; from requests import packages\n"),
        ("import requests.exceptions\n", "import capa_requests.exceptions, capa_requests as requests\n"),
        ("patch('requests.get')\n", "patch('capa_requests.get')\n"),
        ("import requests\r\n", "import capa_requests as requests\r\n"),
    ],
)  # fmt: skip
def test_newer_file_is_rewritten_and_proven(rewritten, before, after):
    result = rewritten(before + NEWER)

    assert after + NEWER == result.text.decode()
    assert "changed" == result.outcome.status


@pytest.mark.parametrize("arguments", ["globals(), locals(), ['x'], 1", "level=1"])
def test_relative_import_by_a_call_stays(rewritten, arguments):
    source = f"__import__('celery', {arguments})\n" + NEWER

    assert source.encode() == rewritten(source).text


def test_byte_order_mark_is_counted(rewritten):
    result = rewritten(b"\xef\xbb\xbfimport requests\n" + NEWER.encode())

    assert b"\xef\xbb\xbfimport capa_requests as requests\n" + NEWER.encode() == result.text


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"import requests", b"import capa_celery as requests"), (b"return x", b"return (x)"), (b"'a'", b"'b'")],
)
def test_proof_of_a_newer_file_refuses_other_changes(names, before, after):
    from capa_codemods.file_rewrite import FileRewrite
    from capa_codemods.findings import Edit
    from capa_codemods.proof import flaw_of
    from capa_codemods.read.python_file import PythonFile
    from capa_codemods.write.splice import splice

    data = b"import requests\n" + NEWER.encode()
    start = data.index(before)
    edits = (Edit(start, start + len(before), after, "test"),)

    assert flaw_of(FileRewrite(PythonFile("a.py", data), (), edits, splice(data, edits)), names)


def test_what_no_parser_can_read_is_a_finding(rewritten):
    outcome = rewritten("import requests\ntype X = = 1\n").outcome

    assert "failed" == outcome.status
    assert outcome.reason.startswith("not Python")
