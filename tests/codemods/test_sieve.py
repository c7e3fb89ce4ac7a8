# ruff: noqa: E501 - tables of texts, which are easier to compare unbroken
"""The sieve never misses what a rule would find, and spares the parser most of the rest."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capa_codemods.sieve import Sieve

SIEVE = Sieve(["requests", "celery", "boto3"])


@pytest.mark.parametrize(
    "source",
    [
        "import os",
        "from . import requests",
        "from .requests import x",
        "from pkg.requests import x",
        "import pkg.requests",
        "# see requests, which we import",
        "requests.get()  # from requests",
        "'''\nrequests are imported from there\n'''",
        "x = 'requests'",
        "call('requests')",
        "important = requests",
        "import requests_oauthlib",
    ],
)
def test_what_concerns_no_rule_is_held_back(source):
    assert not SIEVE.imports_or_quotes(f"{source}\n".encode())


def test_a_root_is_found_at_the_end_of_a_line_of_any_length():
    assert SIEVE.imports_or_quotes(b"import " + b"a, " * 5_000 + b"requests\n")


def test_roots_without_a_name_let_nothing_through():
    assert not Sieve([]).imports_or_quotes(b"import requests\n")


PIECES = st.sampled_from(
    ["import", "from", "requests", "celery", "os", " ", " ", " ", "\t", "\\\n", "\n", "\r\n", ";", ":", ",", ".", "(", ")",
     "as", "x", "if x", "try", "'", '"', "#", "\x0c", "*", "patch(", "getLogger(", "import_module(name=", "sys.modules["]
)  # fmt: skip


@given(st.lists(PIECES, max_size=14).map("".join))
def test_nothing_that_imports_or_names_a_root_is_held_back(names, text):
    from capa_codemods.project import Project
    from capa_codemods.rewrite import Rewrite
    from capa_codemods.rules import all_rules

    data = text.encode()
    try:
        ast.parse(data)
    except (SyntaxError, ValueError):
        return
    from capa_codemods.engine.python_file import PythonFile

    file = PythonFile("a.py", data)
    project = Project("/no/such/tree", names, [])
    said = [item for rule in all_rules() if rule.reads is PythonFile for item in rule.check(file, project)]
    held_back = Rewrite(project, all_rules()).examine_data("a.py", data)

    assert bool(said) is bool(held_back.edits or held_back.findings or held_back.status == "failed")
