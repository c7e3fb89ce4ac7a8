"""Code of installed libraries, and random code, stays the same program in a rewrite, and undo restores each byte.

A part of the files and programs, another one each day; all of them are rewritten by `make safety`.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from rewrite_safety import libraries, programs
from rewrite_safety.oracle import Oracle, is_outside_kept

from capa_codemods.discovery import import_map_paths
from capa_codemods.findings import Edit

TODAY = int(time.time()) // 86_400
FILES, PROGRAMS = 400, 50
MOVED = {"a": "x", "a.b": "x.b", "a.name": "x.other.name"}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("maps", ["everywhere", "installed"])
def test_libraries_are_rewritten_to_the_same_programs_once_and_back(tmp_path, maps):
    files = libraries.installed_files()
    share = max(1, len(files) // FILES)
    files = files[TODAY % share :: share][:FILES]
    texts = (
        [libraries.everywhere()]
        if maps == "everywhere"
        else [Path(path).read_text() for path in import_map_paths()]
    )

    counts = libraries.rewrite(files, tmp_path, texts)

    assert counts["changed"] == counts.pop("same program", 0)
    assert counts.pop("changed") > (FILES / 4 if maps == "everywhere" else -1)
    assert {"files": FILES} == {what: count for what, count in counts.items() if count}


@pytest.mark.timeout(180)
def test_random_programs_are_rewritten_to_the_same_programs_or_refused():
    counts = programs.judge(range(TODAY * PROGRAMS, (TODAY + 1) * PROGRAMS), import_map_paths())

    assert (
        PROGRAMS
        == counts.pop("programs")
        == counts.pop("changed", 0) + counts.pop("clean", 0) + counts.pop("refused", 0)
    )
    assert {} == counts


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import a", "import x as a"),
        ("import a.b", "import x.b, x as a"),
        ("import a.b as c", "import x.b as c"),
        ("from a import b, c", "from x import b, c"),
        ("from a import b, c", "from x import b\nfrom a import c"),
        ("from a import name", "from x.other import name"),
        ("import os, a", "import os\nimport x as a"),
        ("import a, a.b", "import x as a, x.b"),
        ("import a\nimport os\nimport a.b", "import x as a\nimport os\nimport x.b"),
        ("f('a.b.c')", "f('x.b.c')"),
        ("def f() -> 'list[a.C]': 1", "def f() -> 'list[x.C]': 1"),
    ],
)
def test_oracle_knows_the_same_program(old, new):
    assert "" == Oracle(MOVED).difference(old.encode(), new.encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import a", "import x"),
        ("import a", "import a.b"),
        ("import a", "import x.b as a"),
        ("import a.b", "import x.b as a"),
        ("import a.b", "import x as a"),
        ("import a.b", "import x.b"),
        ("from a import b, c", "from x import c, b"),
        ("from a import b", "from x import b as c"),
        ("from a import name", "from x import name2"),
        ("import a; f()", "f(); import x as a"),
        ("import a; f(); import a.b", "import x as a; f(); import x.b"),
        ("import a, c as a, a.b", "import x as a, c as a, x.b"),
        ("import a\nfrom c import *\nimport a.b", "import x as a\nfrom c import *\nimport x.b"),
        ("f('a.b')", "f('x.c')"),
        ("f(a)", "f(x)"),
        ("a.b", "x.b"),
        ("1", "1.0"),
        ("x: int = 1", "x = 1"),
        ("def f(): 1", "async def f(): 1"),
    ],
)
def test_oracle_knows_another_program(old, new):
    assert Oracle(MOVED).difference(old.encode(), new.encode())


@pytest.mark.parametrize(
    ("new", "is_kept"), [(b"aXd", True), (b"aXdd", False), (b"AXd", False), (b"abcd", False), (b"aX", False)]
)
def test_bytes_outside_edits_are_compared(new, is_kept):
    assert is_kept is is_outside_kept(b"abcd", new, [Edit(1, 3, b"X", "r")])
