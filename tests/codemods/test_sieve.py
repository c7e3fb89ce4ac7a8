# ruff: noqa: E501 - tables of texts, which are easier to compare unbroken
"""The sieve passes every file in which a rule finds something, and keeps most others from the parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capa_codemods.errors import UnreadableError
from capa_codemods.pipeline.rewrite import Rewrite
from capa_codemods.project import Project
from capa_codemods.read.python_file import PythonFile
from capa_codemods.rules import all_rules
from capa_codemods.sdks.sieve import Sieve
from capa_codemods.sdks.word_search import search_for

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
        "call(['requests'])",
        "call({'requests': 1})",
        "call(\n    name='requests',\n)",
        "important = requests",
        "import requests_oauthlib",
    ],
)
def test_a_file_that_concerns_no_rule_is_skipped(source):
    assert not SIEVE.imports_or_quotes(f"{source}\n".encode())


@pytest.mark.parametrize(
    "source",
    [
        "x = 'requests'",
        "x: str = 'requests'",
        "call('requests' + x)",
        "call('%s.get' % 'requests')",
        "call('{}.get'.format('requests'))",
        "call('.'.join(['requests', 'get']))",
        "call('requests')\npatch(x)",
        "call('requests')\npatch('a' + x)",
        "call('requests')\nsys.modules[x]",
        "sys.modules.pop('requests')",
    ],
)
def test_a_word_that_may_become_the_name_of_a_module_is_found(source):
    assert SIEVE.imports_or_quotes(f"{source}\n".encode())


def test_a_root_is_found_at_the_end_of_a_line_of_any_length():
    assert SIEVE.imports_or_quotes(b"import " + b"a, " * 5_000 + b"requests\n")


@given(st.binary(max_size=40).map(lambda data: data.replace(b"\x01", b"celery")))
def test_a_word_is_found_wherever_python_finds_it(data):
    assert (b"celery" in data or b"\0\n" in data) is search_for([b"celery", b"\0\n"])(data)
    assert (b"celery" in data) is search_for([b"celery"])(data)


def test_a_word_is_found_behind_a_zero_byte():
    assert search_for([b"celery"])(b"\0celery")


def test_without_the_c_library_of_gnu_the_same_is_found(monkeypatch):
    monkeypatch.setattr("os.confstr", lambda _: None)
    holds = search_for([b"celery"])

    assert (True, False) == (holds(b"a celery"), holds(b"celer\0y"))


def test_a_root_is_found_in_words_that_hold_another():
    sieve = Sieve(["apollo", "pyapollo", "apollo_client"])

    assert [7, 23] == sieve.imported(b"import pyapollo\nimport apollo_client\nimport my_apollo\n")


def test_roots_without_a_name_let_nothing_through():
    assert not Sieve([]).imports_or_quotes(b"import requests\n")


PIECES = st.sampled_from(
    ["import", "from", "requests", "celery", "os", " ", " ", " ", "\t", "\\\n", "\n", "\r\n", ";", ":", ",", ".", "(", ")",
     "as", "x", "if x", "try", "'", '"', "#", "\x0c", "*", "patch(", "getLogger(", "import_module(name=", "sys.modules["]
)  # fmt: skip


@given(st.lists(PIECES, max_size=14).map("".join))
def test_nothing_that_imports_or_names_a_root_is_held_back(names, text):
    data = text.encode()
    try:
        file = PythonFile("a.py", data)
    except UnreadableError:
        return
    project = Project("/no/such/tree", names, [])
    reported = [
        item for rule in all_rules() if rule.reads is PythonFile for item in rule.check(file, project)
    ]
    held_back = Rewrite(project, all_rules()).examine_data("a.py", data)

    assert bool(reported) is bool(held_back.edits or held_back.findings or held_back.status == "failed")


@given(st.lists(PIECES, max_size=14).map("".join))
def test_every_import_of_a_root_is_where_the_sieve_points(names, text):
    data = text.encode()
    try:
        file = PythonFile("a.py", data)
    except UnreadableError:
        return
    everywhere, pointed_at = range(len(data)), names.sieve.imported(data)

    assert _of_roots(file.imports(everywhere), names) == _of_roots(file.imports(pointed_at), names)


def _of_roots(statements, names):
    return {
        statement
        for statement in statements
        for module in ([statement.module] if statement.is_from else [name.name for name in statement.names])
        if not statement.level and names.owner(module)
    }
