"""Files that are newer than the running interpreter are read in an older spelling, and proven all the same."""

from __future__ import annotations

import ast
import sys
import time

import pytest

from capa_codemods.errors import UnreadableError
from capa_codemods.read.python_file import PythonFile
from capa_codemods.read.syntax import parse

NEWER = "type X[T] = list[T]\n\n\ndef f[T](x: T) -> T:\n    print(f'{x['a']}')\n    return x\n"
KNOWN_FROM_3_12 = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="this interpreter knows the syntax itself"
)


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


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("lazy import requests\n", "lazy import capa_requests as requests\n"),
        ("lazy import os, requests\n", "lazy import os, capa_requests as requests\n"),
        ("lazy import requests.exceptions\n",
         "lazy import capa_requests.exceptions, capa_requests as requests\n"),
        ("lazy from celery import Celery\n", "lazy from capa_celery import Celery\n"),
        ("x = 1; lazy from celery import Celery\n", "x = 1; lazy from capa_celery import Celery\n"),
        ("lazy from requests import get, packages\n",
         "lazy from capa_requests import get\nlazy from requests import packages\n"),
        ("try:\n    pass\nexcept:\n    pass\nlazy  import\\\n  requests\r\n",
         "try:\n    pass\nexcept:\n    pass\nlazy  import\\\n  capa_requests as requests\r\n"),
        ("\ufefflazy import requests\n", "\ufefflazy import capa_requests as requests\n"),
        ("\ufeffimport requests\ntype X = int\n", "\ufeffimport capa_requests as requests\ntype X = int\n"),
        ("import requests\ntry: 1\nexcept A, B: 2\n", "import capa_requests as requests\ntry: 1\nexcept A, B: 2\n"),
        ("import requests\ntry: 1\nexcept* a.A, B,: 2\n",
         "import capa_requests as requests\ntry: 1\nexcept* a.A, B,: 2\n"),
        ("try:\n    import requests\nexcept A, B:\n    import celery\n",
         "try:\n    import capa_requests as requests\nexcept A, B:\n    import capa_celery as celery\n"),
        ("import requests\nt'{x['a']}' rt\"\"\"{y}\n\"\"\"\n",
         "import capa_requests as requests\nt'{x['a']}' rt\"\"\"{y}\n\"\"\"\n"),
        ("import requests\ny = [*x for x in y if f(x, 1)]\n",
         "import capa_requests as requests\ny = [*x for x in y if f(x, 1)]\n"),
        ("import requests\nz = f(*x for x in y), {**d for d in z}\n",
         "import capa_requests as requests\nz = f(*x for x in y), {**d for d in z}\n"),
        ("import requests\nclass A[\n    T: int,  # é\n](B): ...\n",
         "import capa_requests as requests\nclass A[\n    T: int,  # é\n](B): ...\n"),
        ("import requests\ntype A[\n    *Ts,\n    **P = [int],\n] = X\n",
         "import capa_requests as requests\ntype A[\n    *Ts,\n    **P = [int],\n] = X\n"),
        ("f'{patch('requests.get')!r:>{patch('requests.put')}}'\n",
         "f'{patch('capa_requests.get')!r:>{patch('capa_requests.put')}}'\n"),
    ],
)  # fmt: skip
def test_new_syntax_of_any_version_stays_as_it_is_around_what_moves(rewritten, before, after):
    result = rewritten(before)

    assert after == result.text.decode()
    assert "changed" == result.outcome.status


@pytest.mark.parametrize(
    "source",
    [
        "eager import requests\n",
        "import eager requests\n",
        "from eager requests import get\n",
        "import requests\nx = a ?? b\n",
        "import requests\nlazy def f(): ...\n",
        "import requests\nx = [*y, *z for z in y]\n",
        "import requests\nf'{x['a'}'\n",
        "import requests\ntype X = = 1\n",
    ],
)
def test_syntax_that_no_one_knows_yet_is_a_failure(rewritten, source):
    outcome = rewritten(source).outcome

    assert "failed" == outcome.status
    assert outcome.reason.startswith("not Python")
    assert "correct the file; if it is for a newer Python, run capa with that Python" == outcome.next_step


@pytest.mark.parametrize(
    "source",
    ["try: 1\nexcept A, e: print 'x'\n", "try: 1\nexcept (A, B), e:\n  raise C, 'x'\n", "type X = 10L\n"],
)
def test_what_is_left_of_a_file_decides_whether_it_is_for_python_2(source):
    with pytest.raises(UnreadableError) as refused:
        parse(source.encode())

    assert "it looks like Python 2" in refused.value.next_step


@pytest.mark.parametrize("arguments", ["globals(), locals(), ['x'], 1", "level=1"])
def test_relative_import_by_a_call_stays(rewritten, arguments):
    source = f"__import__('celery', {arguments})\n" + NEWER

    assert source.encode() == rewritten(source).text


def test_byte_order_mark_is_counted(rewritten):
    result = rewritten(b"\xef\xbb\xbfimport requests\n" + NEWER.encode())

    assert b"\xef\xbb\xbfimport capa_requests as requests\n" + NEWER.encode() == result.text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"import requests", b"import capa_celery as requests"),
        (b"return x", b"return T"),
        (b"'a'", b"'b'"),
        (b"lazy from", b"from"),
        (b"KeyError", b"IndexError"),
    ],
)
def test_proof_of_a_newer_file_refuses_other_changes(names, before, after):
    from capa_codemods.file_rewrite import FileRewrite
    from capa_codemods.findings import Edit
    from capa_codemods.proof import flaw_of
    from capa_codemods.write.splice import splice

    more = "lazy from a import b\ntry:\n    pass\nexcept KeyError, ValueError:\n    pass\n"
    data = b"import requests\n" + NEWER.encode() + more.encode()
    start = data.index(before)
    edits = (Edit(start, start + len(before), after, "test"),)

    assert flaw_of(FileRewrite(PythonFile("a.py", data), (), edits, splice(data, edits)), names)


@KNOWN_FROM_3_12
@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f[T](x: T) -> T:\n    return x\n", "def f(x: T) -> T:\n    return x\n"),
        ("class A[T: int](B): é = 1\n", "class A(B): é = 1\n"),
        ("class A[\n    T,\n]: ...\n", "class A: ...\n"),
        ("type X[T] = list[T]\n", "...\nX = list[T]\n"),
        ("type X = f'''\n{x}'''\n", "...\nX = f'''\n{x}'''\n"),
        ("call(f'{x['a']}{y:{z['b']}}')\n", "call((x['a'], y, z['b']))\n"),
        ("call('a' f'{x['a']}' f'{f'{y['b']}'}')\n", "call((x['a'], (y['b'],)))\n"),
        ("call(f'{'a'}', 'b' 'c', f'')\n", "call(('a',), 'b' 'c', f'')\n"),
        ("call(f'\\N{DASH}{{{'a'}}}{x['b'] = !r:>{2}.{3}}')\n", "call(('a', x['b'], 2, 3))\n"),
        ("call(f'{d['a']:%H:%M}{ {1: 2}[1]}{x[1:2] != y}')\n", "call((d['a'], {1: 2}[1], x[1:2] != y))\n"),
        ("call(rf'\\{'a'}\\\\' t'{x}')\n", "call(('a', x))\n"),
        ("call(f'''{\n'a'  # }'\n}''', t'{x}')\n", "call(('a',), f'{x}')\n"),
    ],
)
def test_it_is_read_as_if_it_were_older(source, expected):
    assert ast.dump(ast.parse(expected)) == ast.dump(parse(source.encode()))


@pytest.mark.parametrize(
    "source",
    ["def f[T](", "print 'x'\ndef f[T](): ...\n", "x = f'{a", "f'{x['a'}'\n", "class A[T", "x = t'{y'"],
)
def test_broken_text_with_new_syntax_is_not_read(source):
    with pytest.raises(UnreadableError):
        parse(source.encode())


@pytest.mark.parametrize(
    "text",
    [
        lambda size: b"try: 1\nexcept A, B: 2\n" * 50 * size,
        lambda size: b"x = " + b"[*x for x in " * size + b"y" + b"]" * size,
    ],
    ids=["long", "deep"],
)
def test_long_text_takes_time_in_proportion(text):
    small_s, large_s = (min(cpu_s(text(size)) for _ in range(5)) for size in (20, 80))

    assert large_s < 12 * small_s  # with each line or level looking at all others it is 16 times


def cpu_s(lines):
    """Parse *lines*, and return the processor's time, which a busy machine leaves alone."""
    before = time.thread_time()
    parse(b"lazy import a\n" + lines)
    return time.thread_time() - before
