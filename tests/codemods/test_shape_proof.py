"""A change of shape is proven: nothing but the smallest statements and expressions that the edits touch has changed."""

from __future__ import annotations

import argparse
import ast
import ftplib
import http.cookiejar
import inspect
import json.decoder
from pathlib import Path

import pytest

from capa_codemods.file_rewrite import FileRewrite
from capa_codemods.findings import Edit
from capa_codemods.proof.shape import flaw_of_shape
from capa_codemods.read.calls import calls_in_strings, with_argument
from capa_codemods.read.meaning import Meanings
from capa_codemods.read.python_file import PythonFile
from capa_codemods.write.difference import edits_between
from capa_codemods.write.splice import ordered_edits, splice

OLD = """\
import os

x = f(g(1), h)  # é


def one(a):
    if a:
        return f(a)
    b = [a]
    return b
"""


def _flaw(new: str, old: str = OLD) -> str | None:
    edits = ordered_edits(edits_between(old.encode(), new.encode(), "test"))
    return flaw_of_shape(FileRewrite(PythonFile("a.py", old.encode()), (), edits, new.encode()))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("f(a)", "f(a, timeout=1)"),
        ("g(1)", "g(1) + 2"),
        ("import os\n", "import os\nimport re\n"),
        ("import os\n", "import re\nimport os\n"),
        ("    b = [a]\n", ""),
        ("    return b\n", "    return b\n\n\ndef two():\n    pass\n"),
        ("    b = [a]\n    return b\n", "    with a:\n        b = [a]\n        return b\n"),
        ("h)  # é", "h, k=1)  # é"),
        ("x = f(g(1), h)", "y = 2\nx = f(g(1), h, y)"),
    ],
)
def test_change_in_its_place_is_proven(before, after):
    assert before in OLD
    assert None is _flaw(OLD.replace(before, after))


@pytest.mark.parametrize(
    ("start", "end", "new", "flaw"),
    [
        ("h)", "h)", b"h", "no longer Python"),
        ("f(a)", "f(a)", b"f(a, a=1, a=2)", "Python refuses the result"),
        ("    return b", "    return b", b"return b", "Python refuses the result"),
        ("# \xe9", "# \xe9", b"'''", "no longer Python"),
    ],
)
def test_result_that_python_refuses_is_a_flaw(start, end, new, flaw):
    data = OLD.encode()
    at = data.index(start.encode())
    edits = (Edit(at, at + len(end.encode()), new, "test"),)

    assert flaw in (
        flaw_of_shape(FileRewrite(PythonFile("a.py", data), (), edits, splice(data, edits))) or ""
    )


@pytest.mark.parametrize(
    ("old", "at", "new"),
    [
        ("if a:\n    b()\nc()\n", len("if a:\n    b()\n"), b"else:\n    pass\nif b:\n    "),
        ("class A:\n    x = 1\n    y = 2\n", len("class A:\n    x = 1\n"), b"class B:\n"),
        (
            "def f():\n    a()\n    b()\n",
            len("def f():\n    a()\n"),
            b"    if a:\n        pass\n\ndef g():\n",
        ),
        ("f(a)\nb()\n'''\nc()\n'''\n", 4, b"; c = '''"),
    ],
)
def test_statement_that_has_come_to_stand_elsewhere_is_a_flaw(old, at, new):
    edits = (Edit(at, at, new, "test"),)
    flaw = flaw_of_shape(
        FileRewrite(PythonFile("a.py", old.encode()), (), edits, splice(old.encode(), edits))
    )

    assert flaw is not None


def test_bytes_changed_outside_the_edits_are_a_flaw():
    data = OLD.encode()
    edits = (Edit(0, 0, b"import re\n", "test"),)
    new = splice(data, edits).replace(b"return b", b"return  b")

    assert "bytes outside the edits differ" == flaw_of_shape(
        FileRewrite(PythonFile("a.py", data), (), edits, new)
    )


@pytest.mark.parametrize("module", [argparse, ast, ftplib, json.decoder, http.cookiejar, inspect])
def test_argument_for_every_call_of_a_module_is_proven(module):
    file = PythonFile("a.py", Path(module.__file__).read_bytes())
    in_strings = set(calls_in_strings(file.tree))
    calls = [call for call, _ in Meanings(file.tree).calls() if id(call) not in in_strings]
    edits = {
        edit.start: edit
        for call in calls
        if all(keyword.arg for keyword in call.keywords)
        if (edit := with_argument(file, call, "timeout_s=60", "test"))
    }
    done = ordered_edits(edits.values())

    assert done
    assert None is flaw_of_shape(FileRewrite(file, (), done, splice(file.data, done)))


def test_edits_between_two_texts_are_as_small_as_they_can_be():
    edits = list(edits_between(b"a(1)\nb(2)\nc(3)\n", b"a(1, x)\nb(2)\nc(4)\n", "test"))

    assert [Edit(3, 3, b", x", "test"), Edit(12, 13, b"4", "test")] == edits
