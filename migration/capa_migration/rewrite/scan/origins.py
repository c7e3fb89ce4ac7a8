"""Origins: the names of one file, followed back to the SDK that they come from.

An origin is a dotted old name in which `()` stands for a call: after `s = requests.Session()` the origin of `s.get` is
`requests.Session().get`, and that of `boto3.client("s3").get_object` is `boto3.client('s3').get_object`. Names are
followed through imports, assignments, `with … as`, annotations and attributes of `self`, one scope at a time. A name
that is bound twice in a scope is followed to its last origin in the text: right for nearly all code, and a scan counts
rather than rewrites.

Definitions of the tree itself have origins of their own, which are never reported: `@` and its path for a module, `&`
and its place for a class, and `=` before the result of a function.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Container, Iterator, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, Protocol

from capa_migration.rewrite.scan.nodes import is_self, last_name
from capa_migration.rewrite.scan.scope import ProjectClass, Scope

_CALL = re.compile(r"\([^()]*\)")
_WORD = re.compile(r"[\w.-]+")
_NAME = re.compile(r"[^\W\d]\w*")
_FOLLOWED: dict[type[ast.AST], tuple[str, ...]] = {
    ast.Attribute: ("value",),
    ast.Call: ("func",),
    ast.Await: ("value",),
    ast.NamedExpr: ("value",),
    ast.Starred: ("value",),
    ast.Yield: ("value",),
    ast.IfExp: ("body", "orelse"),
    ast.BoolOp: ("values",),
    ast.BinOp: ("left", "right"),
    ast.Subscript: ("slice",),
    ast.Tuple: ("elts",),
    ast.List: ("elts",),
}
"""The parts of an expression on which its origin may depend, as a value or as an annotation."""
_OF_ONE = frozenset({"Annotated", "ClassVar", "Final", "Optional", "Union"})
"""Generic types around a class in an annotation of an object of it."""
_MAX_BASES = 20
"""Bases that are followed at most: in wrong code a class may be its own base."""


class ProjectView(Protocol):
    """The project as seen from one file: its other modules, and the classes in them."""

    @property
    def path(self) -> str:
        """The file."""

    @property
    def classes(self) -> MutableMapping[str, ProjectClass]:
        """Origin of a class of the tree → the class, of all files that were read."""

    def origin(self, module: str, level: int, name: str) -> str | None:
        """Return the origin of *name* of a *module*, given by its name after *level* dots or by its origin."""

    def all_of(self, module: str, level: int) -> Mapping[str, str]:
        """Return all names that `from module import *` binds, each with its origin."""

    def leads(self, origin: str) -> bool:
        """Return whether *origin* may lead to an object of an SDK; only a module of the tree may not."""


class Origins:
    """The origins of the names in one file.

    Attributes:
        roots: The top-level names of the SDKs.
        project: The rest of the project.
    """

    def __init__(self, roots: Container[str], returns: Mapping[str, str], project: ProjectView) -> None:
        """Follow names that begin with one of *roots*; *returns* is the table `[returns]` of the import maps."""
        self.roots = roots
        self._returns = {name: to for name, to in returns.items() if not to.endswith("()")}
        self._objects = {name: to for name, to in returns.items() if to.endswith("()")}
        self.project = project

    def of(self, node: ast.AST | None, scope: Scope) -> str | None:
        """Return the origin of the expression *node* in *scope*, or None if it comes from no SDK."""
        match node:
            case ast.Name(id=name):
                found = scope.find(name)
            case ast.Attribute():
                found = self._of_attribute(node, scope)
            case ast.Call(func=ast.Name(id="super"), args=[]):
                found = scope.own.base
            case ast.Call(func=func):
                called = self.of(func, scope)
                found = self.result_of(called, node) if called else None
            case ast.Await(value=value) | ast.NamedExpr(value=value) | ast.Starred(value=value):
                found = self.of(value, scope)
            case ast.IfExp(body=body, orelse=orelse):
                found = self.of(body, scope) or self.of(orelse, scope)
            case ast.BoolOp(values=values):
                found = next((one for value in values if (one := self.of(value, scope))), None)
            case _:
                found = None
        return found or None

    def imported(self, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
        """Yield the old names that an import statement imports: modules, and names of modules."""
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in self.roots)
        elif not node.level and node.module and node.module.partition(".")[0] in self.roots:
            for alias in node.names:
                yield node.module if alias.name == "*" else f"{node.module}.{alias.name}"

    def result_of(self, called: str, call: ast.Call | None = None) -> str | None:
        """Return the origin of the result of *called*; `{}` in `[returns]` is the first argument of the *call*."""
        if called.startswith("="):
            return called[1:]
        if called.startswith(("@", "&")):
            return f"{called}()" if called in self.project.classes else None
        returned = self._returns.get(plain(called), called)
        if "{}" not in returned:
            return f"{returned}()"
        first = getattr(call.args[0], "value", None) if call is not None and call.args else None
        is_word = isinstance(first, str) and _WORD.fullmatch(first)
        return returned.format(repr(first) if is_word else "")

    def is_listed(self, called: str) -> bool:
        """Return whether `[returns]` lists *called*."""
        return plain(called) in self._returns

    def place(self, node: ast.ClassDef) -> str:
        """Return the origin of the class *node* of this file."""
        return f"&{self.project.path}:{node.lineno}:{node.name}"

    def attributes(self, node: ast.ClassDef) -> set[str] | None:
        """Return the names that the class *node* of this file, or a base in the tree, binds to something of an SDK.

        None if that may be any name, since one of these classes is below one of an SDK.
        """
        own = self.project.classes.get(self.place(node))
        lineage = self._lineage(own) if own is not None else []
        if any(one.base and not one.base.startswith("&") for one in lineage):
            return None
        return {name for one in lineage for name, origin in one.names.items() if origin}

    def annotated(self, node: ast.AST | None, scope: Scope) -> str | None:
        """Return the origin of an object that is annotated with *node*."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node = _parsed(node.value)
        if isinstance(node, ast.Subscript):
            return self.annotated(node.slice, scope) if last_name(node.value) in _OF_ONE else None
        if isinstance(node, ast.Tuple):
            return next((one for item in node.elts if (one := self.annotated(item, scope))), None)
        if isinstance(node, ast.BinOp):
            return self.annotated(node.left, scope) or self.annotated(node.right, scope)
        origin = self.of(node, scope)
        return self.result_of(origin) if origin else None

    def _of_attribute(self, node: ast.Attribute, scope: Scope) -> str | None:
        if is_self(node.value) and node.attr in scope.own.names:
            return scope.own.names[node.attr]
        origin = self.of(node.value, scope)
        if origin is None and is_self(node.value):
            return self._member(scope.own, node.attr)
        return self._attribute(origin, node.attr) if origin else None

    def _attribute(self, origin: str, name: str) -> str | None:
        if origin.startswith("@"):
            return self.project.origin(origin, 0, name)
        if origin.startswith("&"):
            return self._held(origin, name)
        return None if origin.startswith("=") else f"{self._object(origin)}.{name}"

    def _held(self, origin: str, name: str) -> str | None:
        """Return the origin of *name* of a class of the tree, or of an object of one."""
        own = self.project.classes.get(origin.removesuffix("()"))
        return self._member(own, name) if own is not None else None

    def _member(self, own: ProjectClass, name: str) -> str | None:
        """Return the origin of *name* of the class *own*: as it or a base in the tree binds it, or as an SDK does."""
        lineage = self._lineage(own)
        for one in lineage:
            if name in one.names:
                return one.names[name]
        base = lineage[-1].base
        is_certain = base is not None and not base.startswith("&") and all(one.base for one in lineage)
        return self._inherited(base, name) if is_certain else None

    def _lineage(self, own: ProjectClass) -> list[ProjectClass]:
        """Return *own* and its bases in the tree, each before its own bases."""
        found: list[ProjectClass] = []
        pending = [own]
        while pending and len(found) < _MAX_BASES:
            one = pending.pop(0)
            if one not in found:
                found.append(one)
                bases = (self.project.classes.get(base.removesuffix("()")) for base in one.bases)
                pending[:0] = [base for base in bases if base is not None]
        return found

    def _inherited(self, base: str | None, name: str) -> str | None:
        """Return the origin of *name* as inherited from *base*; names that every object has are left out."""
        return self._attribute(base, name) if base and not name.startswith("__") else None

    def _object(self, origin: str) -> str:
        """Return *origin* as an object of its class, if `[returns]` names one: `app.control`."""
        return origin if origin.endswith(")") else self._objects.get(plain(origin), origin)


@lru_cache(maxsize=4_096)
def _parsed(annotation: str) -> ast.expr | None:
    try:
        return ast.parse(annotation, mode="eval").body
    except (SyntaxError, ValueError):
        return None


def followed_names(node: ast.AST) -> Iterator[str]:
    """Yield the names and attributes on which the origin of *node* may depend, as a value or as an annotation."""
    queue: list[Any] = [node]
    while queue:
        one = queue.pop()
        if isinstance(one, ast.Name):
            yield one.id
            continue
        if isinstance(one, ast.Attribute):
            yield one.attr
        elif isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield from _NAME.findall(one.value)
        for field in _FOLLOWED.get(type(one), ()):
            value = getattr(one, field)
            queue += value if isinstance(value, list) else [value]


def plain(origin: str) -> str:
    """Return *origin* without its calls: its name in an import map."""
    return _CALL.sub("", origin)
