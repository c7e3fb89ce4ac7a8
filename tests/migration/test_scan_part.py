"""Part of a file: what is left out of the search for uses holds none, and binds nothing that one needs."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capa_codemods.api import Names, Project, PythonFile, Sieve
from capa_migration.rewrite.scan.exports import Exports
from capa_migration.rewrite.scan.moved import Moved
from capa_migration.rewrite.scan.origins import Origins
from capa_migration.rewrite.scan.part import bound_part, sdk_imports
from capa_migration.rewrite.scan.survey import known_maps
from capa_migration.rewrite.scan.uses import Use, uses
from capa_migration.rewrite.scan.walk import bound_module, module_scope, scopes

NAMES = Names(known_maps())
MOVED = Moved(NAMES.maps)
SIEVE = Sieve([*NAMES.roots, *MOVED.roots])

STATEMENTS = re.split(
    "---\n",
    """\
import requests
---
import os, requests as r
---
from celery import Celery, Task
---
s = requests.Session()
---
t = s
---
s = None
---
print(t.get(u)); t.put(u)
---
(w := requests.Session()); x = w.get
---
x(u)
---
if a:
    import requests
else:
    s = other()
---
def make():
    return requests.Session()
---
def s():
    pass
---
def use(s: 'requests.Session', make=make):
    return s.get(u), make().get(u)
---
def local():
    from requests import get as g
    return g(u)
---
make().post(u)
---
app = Celery()
---
@app.task(bind=True)
def work(self):
    self.retry()
---
work.delay()
---
class A:
    def __init__(self):
        self.client = s
    def call(self):
        self.client.get(u)
    def cold(self):
        return self.other
---
class B(A):
    client = None
    def other(self):
        return self.client.post(u)
    def client_of(self):
        return self.client
---
class T(Task):
    def run(self):
        return self.request.id
    def retry(self):
        return super().retry()
---
class C(T):
    def go(self):
        self.apply_async()
    class Inner(A):
        def call(self):
            return self.client.put(u)
---
A().client.delete(u)
---
B().client_of().head(u)
---
C().retry()
---
with make() as held:
    held.options(u)
""",
)


@given(st.lists(st.sampled_from(STATEMENTS), max_size=9).map("".join))
def test_part_has_the_uses_and_the_names_of_the_whole(text):
    assert _found(text, in_part=False) == _found(text, in_part=True)


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("import requests\ndef f():\n    requests.get(u)\ndef g():\n    return 1\n", ["Import", "f"]),
        ("import requests\nx = requestsx\ny = 2\n", ["Import"]),
        ("import os\nos.getcwd()\n", []),
        ("from a import requests\n", []),
    ],
)
def test_statements_that_name_nothing_of_an_sdk_are_left_out(source, left):
    part = _bound(source, _origins(), _Kept.of)

    assert left == [getattr(node, "name", type(node).__name__) for node in part.tree.body]


def test_methods_that_name_nothing_of_an_sdk_are_left_empty():
    source = (
        "import requests\nclass A:\n    s = requests.Session()\n    def f(self):\n        self.s.get(u)\n"
        "    def g(self):\n        return self.t\n"
    )
    part = _bound(source, _origins(), _Kept.of)
    methods = part.tree.body[1].body[1:]

    assert [("f", 1), ("g", 0)] == [(one.name, len(one.body)) for one in methods]


class _Kept(NamedTuple):
    tree: ast.Module
    names: dict[str, str]

    @classmethod
    def of(cls, tree: ast.Module, origins: Origins) -> _Kept:
        return cls(tree, module_scope(tree, origins).names)


def _found(text: str, *, in_part: bool) -> tuple[list[Use], dict[str, str]]:
    origins, exporting = _origins(), _origins()
    if in_part:
        module, exported = _bound(text, origins, bound_module), _bound(text, exporting, module_scope).names
    else:
        module, exported = (
            bound_module(_file(text).tree, origins),
            module_scope(_file(text).tree, exporting).names,
        )
    counted: set[int] = set()
    found = [use for one in scopes(module, origins) for use in uses(one.nodes, one.scope, origins, counted)]
    return found, {name: origin for name, origin in exported.items() if origin}


def _bound(text, origins, bind):
    imports = sdk_imports(text.encode(), SIEVE, origins)
    return bound_part(_file(text), imports, (), origins, bind)


def _file(text: str) -> PythonFile:
    return PythonFile("a.py", text.encode())


def _origins() -> Origins:
    """Return the origins of a file that is alone in its project."""
    return Exports(Project("/nowhere", NAMES, ["a.py"]), MOVED, SIEVE).origins("a.py")
