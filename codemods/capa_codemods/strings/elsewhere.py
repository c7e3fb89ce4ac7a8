"""Other files of the tree that patch or import a string: tests by a name of its file, functions by their argument.

TARGET = "requests.get"          and in a test          from shop.names import TARGET; patch(TARGET)
loaded("requests")               and in another file    def loaded(module): return import_module(module)
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
from capa_codemods.read.facts import Held, StringUse
from capa_codemods.read.files import read_file
from capa_codemods.read.patch_holders import Holders
from capa_codemods.read.python_file import PythonFile, walk_statements
from capa_codemods.read.receivers import parameter_of
from capa_codemods.read.scopes import Scopes
from capa_codemods.read.string_flow import calls_reached
from capa_codemods.read.string_uses import dotted_name
from capa_codemods.read.syntax import parse
from capa_codemods.sdks.passed_on import passes_on
from capa_codemods.strings.calls import certain_calls


class User(NamedTuple):
    """A file at *path* that passes to *callee* what it knows as *name*."""

    path: str
    callee: str
    name: str


def user_of(use: StringUse, path: str, project: Project) -> User | None:
    """Return a test that patches or imports what begins with *use*, a string in the file at *path*; None if none does.

    A bare word in a table is taken for no module: most are names of distributions.
    """
    for held in use.held:
        if held.path and not re.search("[.:]", held.text):
            continue
        for test in project.tests_naming(path, held.name):
            if callee := _callee(test, held, path, project):
                return User(test, callee, f"{held.name}.{held.member}" if held.member else held.name)
    return None


def receiver_of(use: StringUse, file: PythonFile, project: Project) -> User | None:
    """Return the other file with the function that is passed *use*, a module in *file*, and patches or imports it."""
    is_module = use.value in project.names.modules or use.value in project.names.roots
    if use.place != "argument" or not is_module:
        return None
    for module, name in _imported(file, *use.callee.rpartition(".")[::2]):
        for path in project.modules_called(module.rpartition("/")[2]):
            place = f"/{path}".removesuffix(".py").removesuffix("/__init__")
            data = _read(path, project) if place.endswith(module) else b""
            if callee := _callee_in(data, name, use.position):
                return User(path, callee, name)
    return None


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


def _callee(test: str, held: Held, path: str, project: Project) -> str | None:
    """Return a call in the file *test* that gets what the module at *path* holds."""
    indexed = _indexed(_read(test, project))
    if indexed is None:
        return None
    tree, scopes = indexed
    reads = list(_reads(tree, held, _module_name(path), scopes))
    calls = calls_reached(reads, held, scopes, certain_calls(Holders(tree))) if reads else ()
    return next((one.callee for one in calls), None)


@lru_cache(maxsize=4)  # a file is asked for each name that it holds
def _indexed(data: bytes) -> tuple[ast.Module, Scopes] | None:
    tree = _parsed(data)
    return None if tree is None else (tree, Scopes(tree))


def _module_name(path: str) -> str:
    return path.removesuffix("/__init__.py").rpartition("/")[2].partition(".")[0]


def _reads(tree: ast.Module, held: Held, module: str, scopes: Scopes) -> Iterator[ast.AST]:
    """Yield the places in *tree* that read what *held* tells of *module*, the last part of a name."""
    modules = {module, *_bound(tree, module, "")}
    named = (read for name in _bound(tree, held.name, module) for read in scopes.named(name))
    inside = (
        read for read in scopes.attributes(held.name) if dotted_name(read.value).rpartition(".")[2] in modules
    )
    for read in (*named, *inside):
        yield from _members(read, held.member, scopes) if held.member else [read]


def _members(read: ast.AST, member: str, scopes: Scopes) -> Iterator[ast.AST]:
    above = scopes.parent(read)
    if isinstance(above, ast.Attribute) and above.attr == member:
        yield above


def _bound(tree: ast.Module, name: str, module: str) -> Iterator[str]:
    """Yield the names to which *tree* binds *name* of *module*, of any if that is empty, or *name*, a module itself."""
    nodes: list[ast.AST] = [tree]
    for node in nodes:  # it grows; an import is in no expression
        nodes += (inner for block in blocks_in(node) for inner in block)
        if isinstance(node, ast.ImportFrom):
            if not module or not node.module or node.module.rpartition(".")[2] == module:
                yield from (one.asname or one.name for one in node.names if one.name == name)
        elif isinstance(node, ast.Import) and not module:
            yield from (
                one.asname for one in node.names if one.asname and one.name.rpartition(".")[2] == name
            )
