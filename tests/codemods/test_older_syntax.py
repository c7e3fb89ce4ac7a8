"""Syntax newer than the running interpreter: read in an older spelling, with names and calls on their lines."""

from __future__ import annotations

import ast
import sys

import pytest

from capa_codemods.read.older_syntax import tree_in_older_syntax

pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="this interpreter knows the syntax itself"
)


@pytest.mark.parametrize(
    "source",
    [
        "def f[T](",
        "print 'x'\ndef f[T](): ...\n",
        "def f[\n    T\n](): ...\n",  # its lines would be others
        "f'''{x['a']\n}'''\nf'{x['a']}'\n",
    ],
)
def test_what_has_no_older_spelling_on_the_same_lines_is_not_read(source):
    assert tree_in_older_syntax(source.encode()) is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f[T](x: T) -> T:\n    return x\n", "def f(x: T) -> T:\n    return x\n"),
        ("class A[T: int](B): é = 1\n", "class A(B): é = 1\n"),
        ("type X[T] = list[T]\n", "X = list[T]\n"),
        ("type X = f'''\n{x}'''\n", "X = f'''\n{x}'''\n"),
        ("call(f'{x['a']}{y:{z['b']}}')\n", "call((x['a'], y, z['b']))\n"),
        ("call('a' f'{x['a']}' f'{f'{y['b']}'}')\n", "call((x['a'], (y['b'],)))\n"),
        ("call(f'{'a'}', 'b' 'c', f'')\n", "call(('a',), (), ())\n"),
    ],
)
def test_it_is_read_as_if_it_were_older(source, expected):
    tree = tree_in_older_syntax(source.encode())

    assert tree is not None
    assert ast.dump(ast.parse(expected)) == ast.dump(tree)
