"""Pieces of a module: together they are the module, and findings in a piece are those in the whole."""

from __future__ import annotations

import ast
import contextlib
import time

import pytest
from rewrite_safety import libraries

from capa_codemods.errors import UnreadableError
from capa_codemods.pipeline.rewrite import Rewrite
from capa_codemods.project import Project
from capa_codemods.read import pieces
from capa_codemods.read.pieces import pieces_around
from capa_codemods.read.python_file import PythonFile
from capa_codemods.read.string_uses import string_uses
from capa_codemods.rules.imports import Imports
from capa_codemods.rules.strings import Strings

TODAY = int(time.time()) // 86_400
FILES = 150


def _pieces(text: str) -> list[str]:
    data = text.encode()
    found = pieces_around(data, range(len(data)))
    assert found is not None
    return [data[start:end].decode() for start, end in found]


@pytest.mark.parametrize(
    "parts",
    [
        [
            "import a\n",
            "def f():\n    x\n",
            "class C:\n    x = 1\n",
            "    @a\n    def g(self): ...\n",
            "    async def h(self):\n        def i(): ...\n",
            "async def h(): ...\ny = 1\n",
        ],
        ["if a:\n", "    def f(): ...\nelse:\n", "    def f(): ...\n"],
        ["x = 1\n", "@a\n@b(\n1)\ndef f(): ...\n", "@c\nclass C: ...\n", "def g(): ...\n"],
        ["@a\ndef f(): ...\n", "def g(): ...\n"],
        ['"""\ndef f(): ...\n"""\n', "def g():\n    '''\ndef h\n'''\n", "def i(): ...\n"],
        ["x = \"'''\"\n", "def f(): ...  # '''\n", "def g(): ...  # '''\n"],
        ["x = r'\\''  '''\n\ndef f\n'''\n", "def g(): ...\n"],
        ["x = 'a\\\ndef f \\\ndef g'\n", "def h(): ...\n"],
        ["x = '' ''''a'''  # it's\n", "def f(): ...\n"],
        ["x = 1\r\n", "def f():\r\n  '''\r\ndef\r\n'''\r\n", "def g(): ...\r\n"],
        ["default = 1\nclasses = 2\nasync_ = 3\n"],
    ],
)
def test_module_is_cut_where_definitions_begin(parts):
    assert parts == _pieces("".join(parts))


def test_only_pieces_around_are_returned():
    data = b"import a\ndef f(): ...\ndef g(): ...\n"

    assert [(9, 22)] == pieces_around(data, [10, 14])


@pytest.mark.timeout(180)
def test_strings_of_libraries_are_the_same_in_pieces():
    files = libraries.installed_files()
    share = max(1, len(files) // FILES)
    cut = 0
    for path in files[TODAY % share :: share][:FILES]:
        data = path.read_bytes()
        found = pieces_around(data, range(len(data)))
        with contextlib.suppress(UnreadableError):  # what is no Python as a whole, or cut in brackets
            file = PythonFile(path.name, data)
            if found is not None and file.places.encoding is None:
                body = [node for piece in found for node in file._parsed(*piece)]
                cut += len(found) > 1

                assert _strings(file.tree) == _strings(ast.Module(body, [])), path
                assert _imports(file.tree) == _imports(ast.Module(body, [])), path
    assert cut > FILES / 5


def _strings(tree: ast.Module) -> list[tuple[int, int, object]]:
    lines = range(1, 100_000)
    found = string_uses(tree, lines, frozenset())
    return sorted((node.lineno, node.col_offset, use) for node, use in found)


def _imports(tree: ast.Module) -> list[str]:
    found = (node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)))
    return sorted(ast.dump(node, include_attributes=True) for node in found)


LONG = "\n".join(f"def f{number}():\n    return {number}\n" for number in range(20))


@pytest.mark.parametrize(
    ("text", "is_in_part"),
    [
        (f"{LONG}\ndef g():\n    getLogger('requests')\n", True),
        (f"# coding: utf-8\n{LONG}\ndef g():\n    getLogger('requests')\n", True),
        ("def g():\n    getLogger('requests')\n", False),
        (f"from celery import unserved\n{LONG}\ndef g():\n    getLogger('requests')\n", True),
        (f"{LONG}\ndef g():\n    import_module('requests')\n", False),
        (f"# coding: latin-1\n# \u00e9\n{LONG}\ndef g():\n    getLogger('requests')\n", False),
        (f"{LONG}\nif a:\n    def g():\n        getLogger('requests')\nelse:\n    def h(): ...\n", False),
        (
            f"{LONG}\nclass C:\n    def g(self):\n        getLogger('requests')\n\n    @a\n    def h(self): ...\n",
            True,
        ),
        (f"{LONG}\nx = [y\n    async for y in getLogger('requests')]\n", False),
        (f"{LONG}\ndef g(:\n    getLogger('requests')\n", False),
    ],
)
def test_file_is_read_in_part(names, text, is_in_part):
    assert is_in_part == (PythonFile.in_part("a.py", text.encode("latin-1"), names) is not None)


def test_file_whose_strings_may_nest_is_read_as_a_whole(names, monkeypatch):
    monkeypatch.setattr(pieces, "_F_STRINGS_NEST", True)

    assert PythonFile.in_part("a.py", f"{LONG}f'{{1}}'; getLogger('requests')\n".encode(), names) is None


@pytest.mark.parametrize(
    "end",
    [
        "    return getLogger('requests')\n",
        "    return patch('requests.get')\n",
        "    import celery.unserved\n",
        "    import celery\n",
        "    pass\n\nclass C:\n    def a(self): ...\n\n    def b(self):\n        getLogger('requests')\n",
        "    @mock.patch('requests.get')\n    def g(): ...\n",
        "    loaded('requests')\n",
    ],
)
def test_findings_of_a_part_are_those_of_the_whole(names, tmp_path, monkeypatch, end):
    (tmp_path / "b.py").write_text("def loaded(name): return import_module(name)\n")
    rewrite = Rewrite(Project(str(tmp_path), names, ["b.py"]), [Imports(), Strings()])
    text = f"from .b import loaded\n{LONG}\ndef f():\n{end}\n\nlast = 1\n".encode()
    reported = rewrite.examine_data("a.py", text)
    monkeypatch.setattr(PythonFile, "in_part", lambda *_: None)

    assert rewrite.examine_data("a.py", text) == reported
    assert reported.edits or reported.findings


def test_file_that_would_change_is_no_python_where_another_part_is_none(names, tmp_path):
    rewrite = Rewrite(Project(str(tmp_path), names, []), [Imports(), Strings()])
    reported = rewrite.examine_data("a.py", f"import requests\n{LONG}\ndef g(:\n".encode())

    assert ("failed", ()) == (reported.status, reported.edits)
