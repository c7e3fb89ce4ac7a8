"""Tests that import a name from another file of the tree, and patch or import what it holds."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from capa_codemods.errors import UnreadableError
from capa_codemods.project import Project
from capa_codemods.read.facts import Held, StringUse
from capa_codemods.read.files import read_file
from capa_codemods.read.patch_holders import Holders
from capa_codemods.read.scopes import Scopes
from capa_codemods.read.string_flow import calls_reached
from capa_codemods.read.string_uses import dotted_name
from capa_codemods.read.syntax import parse
from capa_codemods.strings.calls import certain_calls


class User(NamedTuple):
    """A test at *path* that passes to *callee* what it knows as *name*."""

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


def _callee(test: str, held: Held, path: str, project: Project) -> str | None:
    """Return a call in the file *test* that gets what the module at *path* holds."""
    try:
        data = read_file(f"{project.root}/{test}") or b""
        tree = parse(data)
    except (OSError, UnreadableError):
        return None  # the rewrite of that file reports it
    scopes = Scopes(tree)
    reads = list(_reads(tree, held, _module_name(path), scopes))
    calls = calls_reached(reads, held, scopes, certain_calls(Holders(tree))) if reads else ()
    return next((one.callee for one in calls), None)


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
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            if not module or not node.module or node.module.rpartition(".")[2] == module:
                yield from (one.asname or one.name for one in node.names if one.name == name)
        elif isinstance(node, ast.Import) and not module:
            yield from (
                one.asname for one in node.names if one.asname and one.name.rpartition(".")[2] == name
            )
