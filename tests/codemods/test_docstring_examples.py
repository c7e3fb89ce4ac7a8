"""Examples in docstrings: their strings move as those of code do, and nothing else of the docstring changes."""

from __future__ import annotations

import pytest

from capa_codemods.findings import Edit
from capa_codemods.proof.names import flaw_of_names
from capa_codemods.read.python_file import PythonFile
from capa_codemods.write.splice import splice

MODULE = '''"""Prices. See requests.get, or `patch("requests.get")`.

>>> from unittest import mock
>>> with mock.patch("requests.get") as get:
...     get.return_value.json.return_value = {"eur": 3}
...     price("a")
3
>>> print('patch("requests.get")')
patch("requests.get")
"""
'''


def test_a_target_in_an_example_moves_and_the_prose_stays(rewritten):
    result = rewritten(MODULE)

    assert MODULE.replace('mock.patch("requests', 'mock.patch("capa_requests') == result.text.decode()
    assert [] == result.messages


@pytest.mark.parametrize(
    "example",
    [
        '>>> T = "requests.get"\n    >>> patch(T)',
        '>>> for t in ["requests.get"]:\n    ...     patch(t)\n    ...',
        '>>> monkeypatch.setattr("requests.get", 1)  # ü',
        '>>> @patch("requests.get")\n    ... def f(): ...\n\n    Text.\n\n    >>> x',
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_examples_of_a_function_are_read_as_code(rewritten, example, newline):
    source = f'def f():\n    """Do.\n\n    {example}\n    """\n'.replace("\n", newline)
    result = rewritten(source)

    assert source.replace('"requests.', '"capa_requests.') == result.text.decode()
    assert [] == result.messages


@pytest.mark.parametrize(
    "docstring",
    [
        '"""\n>>> patch("requests.get"\n"""',
        '"""\\x20\n>>> patch("requests.get")\n"""',
        '"""\n>>> patch("requests.get")\n  >>> x\n"""',
    ],
)
def test_examples_that_cannot_be_read_are_warned_of(rewritten, docstring):
    result = rewritten(f"{docstring}\n")
    (finding,) = result.outcome.findings

    assert f"{docstring}\n" == result.text.decode()
    assert ("warning", True) == (finding.level, finding.blocks)


def test_examples_that_cannot_be_read_and_patch_nothing_are_left_in_peace(rewritten):
    assert [] == rewritten('"""\n>>> x = {\'task\': "celery.chain", ...\n"""\n').messages


IMPORTING = '''"""Prices.

>>> import requests, requests.adapters
>>> from requests import Session
>>> with patch("requests.get") as get:
...     requests.get("u")
"""
'''


def test_imports_of_an_example_move_with_its_targets(rewritten):
    result = rewritten(IMPORTING)

    assert """
>>> import capa_requests as requests, capa_requests.adapters
>>> from capa_requests import Session
>>> with patch("capa_requests.get") as get:
...     requests.get("u")
""" in result.text.decode()
    assert [] == result.messages


def test_imports_of_an_example_without_a_target_stay(rewritten):
    source = IMPORTING.replace('patch("requests.get") as get', "session() as requests")

    assert source == rewritten(source).text.decode()


def test_a_finding_in_an_example_has_its_line_in_the_file(rewritten):
    (finding,) = rewritten(
        'x = 1\n\n\ndef f():\n    """Do.\n\n    >>> patch("requests.sessions._x")\n    """\n'
    ).outcome.findings

    assert (7, "warning") == (finding.line, finding.level)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Prices. See requests", b"Prices. See capa_requests"),
        (b'{"eur": 3}', b'{"eur": 4}'),
        (b"\n3\n", b"\n4\n"),
        (b"price(", b"prices("),
    ],
)
def test_the_proof_refuses_any_other_change_of_a_docstring(names, old, new):
    data = MODULE.encode()
    edit = Edit(data.index(old), data.index(old) + len(old), new, "strings")

    assert flaw_of_names(PythonFile("a.py", data), splice(data, [edit]), [edit], names) is not None
