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

from capa_codemods.errors import UnreadableError
from capa_codemods.project import Project
from capa_codemods.read.children import blocks_in
from capa_codemods.read.container_paths import Item
from capa_codemods.read.facts import Held, StringUse
from capa_codemods.read.files import read_file
from capa_codemods.read.patch_holders import Holders
from capa_codemods.read.python_file import PythonFile, walk_statements
from capa_codemods.read.receivers import is_fixture, parameter_of
from capa_codemods.read.scopes import Scopes
from capa_codemods.read.string_flow import Takes, calls_reached
from capa_codemods.read.string_uses import dotted_name
from capa_codemods.read.syntax import parse
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
    is_module = use.value in project.names.modules or use.value in project.names.roots
    if use.place != "argument" or not is_module:
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
    indexed = _indexed(data) if passes_on(data) else None
    if indexed is None:
        return None
    tree, scopes = indexed
    calls = calls_reached(scopes.attributes(held.member), held, scopes, certain_calls(Holders(tree)))
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
    if use.place != "argument" or use.value not in {*project.names.modules, *project.names.roots}:
        return None
    if not is_test(file.path, file.data) or holder not in {"", "self", "cls"}:
        return None
    paths = project.shared_names.passing_on if holder else [file.path, *_conftests(file.path)]
    for path in paths:
        data = file.data if path == file.path else _read(path, project)
        if f"def {name}(".encode() in data and _may_pass_on(data, name, is_method=bool(holder)):
            return _User(path, name, name)
    return None


def _conftests(path: str) -> Iterator[str]:
    """Yield the places of the conftest.py whose fixtures the test at *path* has."""
    while path:
        path = path.rpartition("/")[0]
        yield f"{path}/conftest.py".lstrip("/")


def _may_pass_on(data: bytes, name: str, *, is_method: bool) -> bool:
    """Return whether a fixture *name* of the file *data*, or with *is_method* a method, has a call that patches."""
    indexed = _indexed(data) if passes_on(data) else None
    if indexed is None:
        return False
    _, scopes = indexed
    lines = data.splitlines(keepends=True)
    return any(
        passes_on(b"".join(lines[one.lineno - 1 : one.end_lineno]))
        for one in scopes.functions
        if one.name == name and (scopes.class_of(one) is not None if is_method else is_fixture(one))
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
    tree = _parsed(data) if passes_on(data) else None
    if tree is None:
        return None
    scopes = Scopes(tree)
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


def _parsed(data: bytes) -> ast.Module | None:
    try:
        return parse(data)
    except UnreadableError:
        return None  # as above


def _callee(user: str, held: Held, path: str, project: Project) -> str | None:
    """Return a call in the file *user* that gets what the module at *path* holds; outside tests, one that imports."""
    data = _read(user, project)
    indexed = _indexed(data)
    if indexed is None:
        return None
    tree, scopes = indexed
    takes = _certain_calls_of(user, data, tree)
    for part, reads in _reads(tree, held, module_name(path), scopes):
        for call in calls_reached(reads, part, scopes, takes) if reads else ():
            return call.callee
    return None


def _certain_calls_of(path: str, data: bytes, tree: ast.Module) -> Takes:
    takes = certain_calls(Holders(tree))
    if is_test(path, data):
        return takes
    return lambda callee, position: "" if (kind := takes(callee, position)) == "patch" else kind


@lru_cache(maxsize=4)  # a file is asked for each name that it holds
def _indexed(data: bytes) -> tuple[ast.Module, Scopes] | None:
    tree = _parsed(data)
    return None if tree is None else (tree, Scopes(tree))


def _reads(tree: ast.Module, held: Held, module: str, scopes: Scopes) -> Iterator[tuple[Held, list[ast.AST]]]:
    """Yield the places in *tree* that read what *held* tells of *module*, the last part of a name, and how it is held.

    The member of a class may be read from the class, an object of it or a class that inherits from it, all of which
    have many names: where the class is named, each attribute of that name counts. An enumeration holds it as an item.
    """
    modules = {module, *_bound(tree, module, "")}
    reads: list[ast.AST] = [read for name in _bound(tree, held.name, module) for read in scopes.named(name)]
    reads += (
        read for read in scopes.attributes(held.name) if dotted_name(read.value).rpartition(".")[2] in modules
    )
    if held.member and reads:
        yield held, list(scopes.attributes(held.member))
        yield held._replace(path=(Item(), *held.path)), reads
    else:
        yield held, reads


def _bound(tree: ast.Module, name: str, module: str) -> Iterator[str]:
    """Yield the names to which *tree* binds *name* of *module*, of any if that is empty, or *name*, a module itself."""
    nodes: list[ast.AST] = [tree]
    for node in nodes:  # it grows; an import is in no expression
        nodes += (inner for block in blocks_in(node) for inner in block)
        if isinstance(node, ast.ImportFrom):
            if not module or not node.module or node.module.rpartition(".")[2] == module:
                yield from (one.asname or one.name for one in node.names if one.name == name)
                yield from (name for one in node.names if one.name == "*")
        elif isinstance(node, ast.Import) and not module:
            yield from (
                one.asname for one in node.names if one.asname and one.name.rpartition(".")[2] == name
            )
