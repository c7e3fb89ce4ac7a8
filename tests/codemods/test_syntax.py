"""Files that do not parse: the reason, and the next step for the user."""

from __future__ import annotations

import pytest

from capa_codemods.errors import UnreadableError
from capa_codemods.read.syntax import parse


def step(source):
    with pytest.raises(UnreadableError) as refused:
        parse(source.encode())
    return refused.value.next_step


@pytest.mark.parametrize(
    "source",
    [
        "x = (1",
        "type X = = int",
        "raise E as x, y",
        "x = 'a<>b' y",
        "x = 5 l",
        "x = 1abc",
        "def f[T]: pass",
        "if x: # `\ny",
    ],
)
def test_python_3_that_is_broken_or_newer_is_to_be_mended(source):
    expected = "correct the file; if it is for a newer Python, run capa with that Python"

    assert expected == step(f"{source}\n")


@pytest.mark.parametrize(
    "source",
    [
        "print 'x'",
        "exec 'x'",
        "exec code in names",
        "def f((a, b)): pass",
        "sorted(x, key=lambda (a, b): a)",
        "os.chmod(p, 0777)",
        "x = 10L",
        "x = 5L",
        "x = 0xFFl",
        "x = `y`",
        "if a <> b: pass",
        "raise E, 'x'",
        "if x:\n    raise a.E, x, tb",
        "x = f(ur'a')",
        '(a, b) = 1, UR"x"',
    ],
)
def test_python_2_is_recognised(source):
    expected = "it looks like Python 2: port it to Python 3 first, or leave it out with --exclude"

    assert expected == step(f"{source}\n")
