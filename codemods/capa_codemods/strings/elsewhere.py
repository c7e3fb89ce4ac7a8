"""Other files of the tree that patch or import a string: tests by a name of its file, functions by their argument.

TARGET = "requests.get"                 and in a test          from shop.names import TARGET; patch(TARGET)
class A(B): module = "requests"         and in another file    class B: … import_module(self.module)
loaded("requests")                      and in another file    def loaded(module): return import_module(module)
def test(put): put("requests", "get")   and in conftest.py     the fixture `put`
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from capa_codemods.project import Project
from capa_codemods.read.facts import Held, StringUse
from capa_codemods.read.files import read_file
from capa_codemods.read.indexed_file import indexed_file
from capa_codemods.read.patch_holders import Holders
from capa_codemods.read.python_file import PythonFile, walk_statements
from capa_codemods.read.receivers import is_fixture, parameter_of
from capa_codemods.read.string_flow import Takes, calls_reached
from capa_codemods.read.string_uses import dotted_name
from capa_codemods.read.tests import is_test
from capa_codemods.sdks.passed_on import passes_on
from capa_codemods.shared_names import module_name
from capa_codemods.strings.calls import certain_calls


class _User(NamedTuple):
    """A file at *path* that passes to *callee* what it knows as *name*."""

    path: str
    callee: str
    name: str


def use_elsewhere(use: StringUse, file: PythonFile, project: Project) -> str | None:
    """Return how code of other files, or a fixture, patches or imports *use*, a string in *file*; None if none does."""
    if other := _user_of(use, file.path, project) or _reader_of(use, file, project):
        return f"{other.path} passes it to `{other.callee}` as `{other.name}`"
    if other := _receiver_of(use, file, project):
        return f"`{other.name}` of {other.path} passes it to `{other.callee}`"
    if other := _helper_of(use, file, project):
        return f"`{other.name}` of {other.path} may patch or import it"
    return None


def _user_of(use: StringUse, path: str, project: Project) -> _User | None:
    """Return a file that patches or imports what begins with *use*, a string in the file at *path*; None if none does.

    A bare word in a table is taken for no module: most are names of distributions.
    """
    for held in use.held:
        if held.path and not re.search("[.:]", held.text):
            continue
        for export in project.shared_names.exports_of(path, held.name):
            known = held._replace(name=export.name)
            for user in project.shared_names.users_of(export):
                if user != path and (callee := _callee(user, known, export.path, project)):
                    return _User(user, callee, f"{known.name}.{known.member}" if known.member else known.name)
    return None


def _receiver_of(use: StringUse, file: PythonFile, project: Project) -> _User | None:
    """Return the other file with the function that is passed *use*, a module in *file*, and patches or imports it."""
    if use.place != "argument" or not _is_module(use.value, project):
        return None
    for path, name in _definitions(use.callee, file, project):
        if callee := _callee_in(_read(path, project), name, use.position):
            return _User(path, callee, name)
    return None


def _reader_of(use: StringUse, file: PythonFile, project: Project) -> _User | None:
    """Return the class of another file that patches or imports *use*, which a class in *file* that inherits has."""
    members = {held.name: held for held in use.held if held.member}
    for node in file.tree.body if members else ():
        if isinstance(node, ast.ClassDef) and node.name in members:
            held = members[node.name]
            for base in map(dotted_name, node.bases):
                for path, name in _definitions(base, file, project):
                    if callee := _callee_reading(_read(path, project), held):
                        return _User(path, callee, f"{name}.{held.member}")
    return None


def _callee_reading(data: bytes, held: Held) -> str | None:
    """Return a call in the file *data* that gets the attribute that *held* tells of."""
    indexed = indexed_file(data) if passes_on(data) else None
    if indexed is None:
        return None
    scopes = indexed.scopes
    takes = certain_calls(Holders(indexed.tree))
    calls = calls_reached(scopes.attributes(held.member), held, scopes, takes)
    return next((one.callee for one in calls), None)


def _definitions(dotted: str, file: PythonFile, project: Project) -> Iterator[tuple[str, str]]:
    """Yield the other files that may define *dotted*, as *file* imports it, each with its name there."""
    for module, name in _imported(file, *dotted.rpartition(".")[::2]):
        for path in project.modules_called(module.rpartition("/")[2]):
            if f"/{path}".removesuffix(".py").removesuffix("/__init__").endswith(module):
                yield path, name


def _helper_of(use: StringUse, file: PythonFile, project: Project) -> _User | None:
    """Return the fixture, or the inherited method, that is passed *use*, a module in the test *file*, and may patch it.

    Both are known by their names alone, and what a fixture returns is not followed: its text decides.
    """
    holder, _, name = use.callee.rpartition(".")
    if use.place != "argument" or not _is_module(use.value, project):
        return None
    if not is_test(file.path, file.data) or holder not in {"", "self", "cls"}:
        return None
    conftests = (path for path in _conftests(file.path) if path in project.listed)
    paths = _files_of_bases(file, project) if holder else (file.path, *conftests)
    for path in paths:
        data = file.data if path == file.path else _read(path, project)
        if f"def {name}(".encode() in data and _may_pass_on(data, name, is_method=bool(holder)):
            return _User(path, name, name)
    return None


def _is_module(name: str, project: Project) -> bool:
    return name in project.names.modules or name in project.names.roots


def _files_of_bases(file: PythonFile, project: Project) -> Iterator[str]:
    """Yield the other files that may define the classes from which those of *file* inherit."""
    for node in file.tree.body:
        for base in node.bases if isinstance(node, ast.ClassDef) else ():
            yield from (path for path, _ in _definitions(dotted_name(base), file, project))


def _conftests(path: str) -> Iterator[str]:
    """Yield the places of the conftest.py whose fixtures the test at *path* has."""
    while path:
        path = path.rpartition("/")[0]
        yield f"{path}/conftest.py".lstrip("/")


def _may_pass_on(data: bytes, name: str, *, is_method: bool) -> bool:
    """Return whether a fixture *name* of the file *data*, or with *is_method* a method, has a call that patches."""
    indexed = indexed_file(data) if passes_on(data) else None
    if indexed is None:
        return False
    lines = data.splitlines(keepends=True)
    return any(
        passes_on(b"".join(lines[one.lineno - 1 : one.end_lineno]))
        for one in indexed.scopes.functions
        if one.name == name and (indexed.scopes.class_of(one) is not None if is_method else is_fixture(one))
    )


def _imported(file: PythonFile, holder: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield what `holder.name` may mean by the imports of *file*: the end of the path of a module, and a name in it."""
    first = holder or name
    for node in walk_statements(file.tree):
        if isinstance(node, ast.ImportFrom):
            module = _place_of(node, file.path)
            for one in node.names:
                if (one.asname or one.name) == first:
                    yield (f"{module}/{one.name}", name) if holder else (module, one.name)
        elif isinstance(node, ast.Import) and holder:
            yield from (
                ("/" + one.name.replace(".", "/"), name)
                for one in node.names
                if holder in {one.asname, one.name}
            )


def _place_of(node: ast.ImportFrom, path: str) -> str:
    """Return the path, or the end of it, of the module from which *node* in the file at *path* imports."""
    folder = ""
    if node.level:
        folder = "/" + "/".join(path.split("/")[: -node.level])
    return f"{folder.rstrip('/')}/{(node.module or '').replace('.', '/')}".rstrip("/")


@lru_cache(maxsize=64)  # a test calls the same helper many times
def _callee_in(data: bytes, function: str, position: int | str) -> str | None:
    """Return a call in the file *data* to which its *function* passes its argument at *position*, or more behind it."""
    indexed = indexed_file(data) if passes_on(data) else None
    if indexed is None:
        return None
    tree, scopes = indexed.tree, indexed.scopes
    found = scopes.definition(tree, function)
    if not isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return None
    parameter = parameter_of(found, position, ast.Name(function))
    if parameter is None:
        return None
    module = Held(function, "", (), "module", is_whole=True)
    calls = calls_reached(scopes.reads(found, parameter), module, scopes, certain_calls(Holders(tree)))
    return next((one.callee for one in calls), None)


def _read(path: str, project: Project) -> bytes:
    try:
        return read_file(f"{project.root}/{path}") or b""
    except OSError:
        return b""  # the rewrite of that file reports it


def _callee(user: str, held: Held, path: str, project: Project) -> str | None:
    """Return a call in the file *user* that gets what the module at *path* holds; outside tests, one that imports."""
    data = _read(user, project)
    # Most files that import the module have no use of what it holds: they need not be parsed.
    indexed = indexed_file(data) if _may_read(data, held) else None
    if indexed is None:
        return None
    takes = _certain_calls_of(user, data, indexed.tree)
    for part, reads in indexed.reads(held, module_name(path)):
        for call in calls_reached(reads, part, indexed.scopes, takes) if reads else ():
            return call.callee
    return None


def _may_read(data: bytes, held: Held) -> bool:
    name, member = held.name.encode(), held.member.encode()
    if name not in data or not member or b"." + member in data:
        return name in data
    # Its items may be read from an enumeration, which is passed on, or looped over.
    return any(before + name in data for before in (b" in ", b"(", b"*", b"."))


def _certain_calls_of(path: str, data: bytes, tree: ast.Module) -> Takes:
    takes = certain_calls(Holders(tree))
    if is_test(path, data):
        return takes
    return lambda callee, position: "" if (kind := takes(callee, position)) == "patch" else kind
