"""Write the type stub of `capa_core.aio` from the blocking classes: a part of `make docs`.

A method becomes a coroutine, an async iterator or a call that opens something, as its traits (`capa_core.call.traits`)
and its annotations say; arguments, overloads and generics stay as they are. A test fails when the stub is behind.
"""

import ast
import copy
import inspect
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

from capa_core import aio, runtime
from capa_core.block import blocks
from capa_core.call.traits import facade_name, traits_of

STUB = Path(aio.__file__).with_name("__init__.pyi")
HEAD = """# Written by `make docs` from the blocking classes: change them, or docs/generate_aio.py.

from typing import Any, Self
from collections.abc import AsyncIterator
from capa_core.aio._facade import Facade as Facade, Opening as Opening
"""
FUNCTIONS = """
def default_runtime() -> Runtime: ...
def component(block: str, name: str = "default", *, runtime: Runtime | _BlockingRuntime | None = None) -> Any: ...
"""
KEPT_DECORATORS = {"classmethod", "overload", "property"}
PROPERTIES = {"property", "computed_once"}
CONTEXT = {"__enter__": "__aenter__", "__exit__": "__aexit__"}
ITERATORS = {"Iterator", "Generator"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def main() -> None:
    """Write the stub."""
    STUB.write_text(stub(), encoding="utf-8")


def stub() -> str:
    """Return the text of the stub."""
    names = Names()
    classes = [_class(each, names) for each in _blocking_classes()]
    accessors = [_accessor(name, names) for name in blocks()]
    public = sorted({"Facade", "Opening", "component", "default_runtime", *names.facades, *blocks()})
    body = [*names.imports(), *classes, *accessors]
    text = "\n\n".join([HEAD, *map(ast.unparse, map(ast.fix_missing_locations, body)), FUNCTIONS])
    return _formatted(f"{text}\n__all__ = {public}\n")


def _blocking_classes() -> list[type]:
    """Return the classes that async code gets through facades, each with a name of its own."""
    found: dict[str, type] = {"Runtime": runtime.Runtime}
    for block in blocks():
        for each in vars(import_module(f"capa_core.blocks.{block}")).values():
            if inspect.isclass(each) and facade_name(each):
                known = found.setdefault(facade_name(each), each)
                assert known is each, f"{each} and {known} would both be aio.{facade_name(each)}"
    return list(found.values())


class Names:
    """The names that annotations use: imported where they are defined, or replaced by those of facades."""

    def __init__(self) -> None:
        self.facades = {facade_name(each): each for each in _blocking_classes()}
        self._imported: dict[str, tuple[str, str]] = {}

    def imports(self) -> Iterator[ast.stmt]:
        """Yield the imports for all names that were asked for."""
        for alias, (module, name) in sorted(self._imported.items()):
            yield ast.ImportFrom(module, [ast.alias(name, None if alias == name else alias)], 0)

    def resolved(self, annotation: ast.expr, module: ModuleType) -> ast.expr:
        """Return *annotation* of *module* as it reads in the stub."""
        return _Resolver(self, module).visit(copy.deepcopy(annotation))  # type: ignore[no-any-return]

    def named(self, name: str, module: ModuleType) -> ast.expr:
        """Return what stands for the *name* that an annotation in *module* uses."""
        if name in vars(__builtins__ if isinstance(__builtins__, ModuleType) else import_module("builtins")):
            return ast.Name(name)
        if name in ITERATORS:
            return self._import("AsyncIterator", "collections.abc", module)
        home, original = _home(name, module)
        found = getattr(import_module(home), original, None) if home.startswith("capa_core") else None
        if inspect.isclass(found) and facade_name(found):
            return ast.Name(facade_name(found))
        if home.startswith("capa_core") and (alias := _alias(original, import_module(home))):
            expanded = self.resolved(alias, import_module(home))
            if any(isinstance(node, ast.Name) and node.id in self.facades for node in ast.walk(expanded)):
                return expanded
        return self._import(original, home, module)

    def _import(self, name: str, home: str, module: ModuleType) -> ast.Name:
        alias = name
        if name in self.facades or self._imported.get(name, (home, name)) != (home, name):
            alias = "_" + "".join(part.title() for part in module.__name__.split(".")[2:3]) + name
        self._imported[alias] = (home, name)
        return ast.Name(alias)


class _Resolver(ast.NodeTransformer):
    def __init__(self, names: Names, module: ModuleType) -> None:
        self._names = names
        self._module = module

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._names.named(node.id, self._module)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """Import `Event` for `threading.Event`."""
        assert isinstance(node.value, ast.Name), ast.unparse(node)
        return self._names._import(node.attr, node.value.id, self._module)

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return self.visit(ast.parse(node.value, mode="eval").body) if isinstance(node.value, str) else node  # type: ignore[no-any-return]

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        self.generic_visit(node)
        if (
            isinstance(node.value, ast.Name)
            and node.value.id == "Union"
            and isinstance(node.slice, ast.Tuple)
        ):
            first, *others = node.slice.elts
            for other in others:
                first = ast.BinOp(first, ast.BitOr(), other)
            return first
        return node


def _class(owner: type, names: Names) -> ast.ClassDef:
    members = dict(_members(owner))
    body = [
        _member(owner, name, node, module, names) for name, parts in members.items() for node, module in parts
    ]
    body += _access(owner, names)
    return ast.ClassDef(facade_name(owner), [], [], body, [], type_params=[])


def _members(owner: type) -> Iterator[tuple[str, list[tuple[ast.stmt, ModuleType]]]]:
    """Yield each public attribute and method of *owner* with its definitions: several if it is overloaded."""
    found: dict[str, list[tuple[ast.stmt, ModuleType]]] = {}
    for base in reversed([each for each in owner.__mro__ if each.__module__.startswith("capa_core")]):
        module = import_module(base.__module__)
        own: dict[str, list[tuple[ast.stmt, ModuleType]]] = {}
        for name, node in _definitions(_tree_of(base, module)):
            if name == "__init__" and "__init__" not in vars(aio.facade_type(owner)):
                continue
            if not name.startswith("_") or name in CONTEXT or name == "__init__":
                own.setdefault(name, []).append((node, module))
        found |= {name: _overloads(nodes) for name, nodes in own.items()}
    yield from found.items()


def _definitions(tree: ast.ClassDef) -> Iterator[tuple[str, ast.stmt]]:
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node
        elif isinstance(node, Function):
            if node.name == "__init__":
                yield from _attributes(node)
            yield node.name, node


def _attributes(init: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[tuple[str, ast.stmt]]:
    """Yield the attributes that `__init__` sets, with the types that they or their arguments are annotated with."""
    arguments = {each.arg: each.annotation for each in (*init.args.args, *init.args.kwonlyargs)}
    for node in init.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if not isinstance(target, ast.Attribute) or target.attr.startswith("_"):
            continue
        annotation = getattr(node, "annotation", None)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
            annotation = arguments.get(node.value.id)
        assert annotation is not None, f"annotate the attribute: {ast.unparse(node)}"
        yield target.attr, ast.AnnAssign(ast.Name(target.attr), annotation, None, 1)


def _overloads(nodes: list[tuple[ast.stmt, ModuleType]]) -> list[tuple[ast.stmt, ModuleType]]:
    overloaded = [each for each in nodes if "overload" in _decorators(each[0])]
    return overloaded or nodes[-1:]


def _member(owner: type, name: str, node: ast.stmt, module: ModuleType, names: Names) -> ast.stmt:
    if isinstance(node, ast.AnnAssign):
        return _property(name, names.resolved(node.annotation, module))
    assert isinstance(node, ast.FunctionDef), ast.unparse(node)
    assert node.returns is not None, f"annotate what is returned: {ast.unparse(node)}"
    returns = names.resolved(node.returns, module)
    if PROPERTIES & _decorators(node):
        return _property(name, returns)
    arguments = _arguments(node.args, module, names)
    traits = traits_of(owner, name)
    plain = traits.immediate or traits.opens or "classmethod" in _decorators(node) or name == "__init__"
    plain = plain or bool(
        ITERATORS & {each.id for each in ast.walk(node.returns) if isinstance(each, ast.Name)}
    )
    if traits.opens:
        returns = ast.Subscript(ast.Name("Opening"), returns)
    kind = ast.FunctionDef if plain else ast.AsyncFunctionDef
    kept = [ast.Name(each) for each in sorted(KEPT_DECORATORS & _decorators(node))]
    if "overload" in KEPT_DECORATORS & _decorators(node):
        names._import("overload", "typing", module)
    return kind(CONTEXT.get(name, name), arguments, [_ELLIPSIS], kept, returns, type_params=[])


def _arguments(given: ast.arguments, module: ModuleType, names: Names) -> ast.arguments:
    arguments = copy.deepcopy(given)
    every = [
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    ]
    for each in every:
        if each is not None and each.annotation is not None:
            each.annotation = names.resolved(each.annotation, module)
    arguments.defaults = [_default(each) for each in arguments.defaults]
    arguments.kw_defaults = [each and _default(each) for each in arguments.kw_defaults]
    return arguments


def _default(given: ast.expr) -> ast.expr:
    """Return a literal as it is; a value that only the implementation knows becomes `...`."""
    try:
        ast.literal_eval(given)
    except ValueError:
        return ast.Constant(...)
    return given if isinstance(given, ast.Constant | ast.UnaryOp) else ast.Constant(...)


def _accessor(block: str, names: Names) -> ast.stmt:
    """Return the module's function for the accessor of `Runtime`, with the runtime as a further argument."""
    module = import_module(runtime.Runtime.__module__)
    ((node, _),) = dict(_members(runtime.Runtime))[block]
    accessor = _member(runtime.Runtime, block, node, module, names)
    assert isinstance(accessor, ast.FunctionDef)
    accessor.args.args = accessor.args.args[1:]
    choice = ast.parse("Runtime | _BlockingRuntime | None", mode="eval").body
    accessor.args.kwonlyargs.append(ast.arg("runtime", choice))
    accessor.args.kw_defaults.append(ast.Constant(None))
    return accessor


def _access(owner: type, names: Names) -> list[ast.stmt]:
    """Return the members of every facade that lead from and to its blocking object."""
    blocking = f"_Blocking{facade_name(owner)}"
    names._imported[blocking] = (owner.__module__, owner.__name__)
    over = f"@classmethod\ndef over(cls, blocking: {blocking}) -> Self: ..."
    return [_property("blocking", ast.Name(blocking)), *ast.parse(over).body]


_ELLIPSIS = ast.Expr(ast.Constant(...))


def _property(name: str, returns: ast.expr) -> ast.stmt:
    arguments = ast.arguments([], [ast.arg("self")], None, [], [], None, [])
    return ast.FunctionDef(name, arguments, [_ELLIPSIS], [ast.Name("property")], returns, type_params=[])


def _decorators(node: ast.stmt) -> set[str]:
    return {each.id for each in getattr(node, "decorator_list", ()) if isinstance(each, ast.Name)}


@cache
def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(inspect.getsource(module))


def _tree_of(owner: type, module: ModuleType) -> ast.ClassDef:
    found = (
        node for node in _tree(module).body if isinstance(node, ast.ClassDef) and node.name == owner.__name__
    )
    return next(found)


def _statements(module: ModuleType) -> Iterator[ast.stmt]:
    """Yield the statements of *module*, those for type checkers alone first."""
    for node in _tree(module).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from node.body
    yield from _tree(module).body


def _home(name: str, module: ModuleType) -> tuple[str, str]:
    """Return the module that defines the *name* in *module*, and the name there; behind re-exports of ours."""
    for node in _statements(module):
        for alias in node.names if isinstance(node, ast.ImportFrom) else ():
            if name == (alias.asname or alias.name):
                assert isinstance(node, ast.ImportFrom)
                home = node.module or ""
                return (
                    _home(alias.name, import_module(home))
                    if home.startswith("capa_core")
                    else (home, alias.name)
                )
    return module.__name__, name


def _alias(name: str, module: ModuleType) -> ast.expr | None:
    """Return the type that *name* is another name for, if it is an alias that *module* defines."""
    for node in _statements(module):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return None if isinstance(node.value, ast.Call) else node.value  # a call makes a type variable
    return None


def _formatted(text: str) -> str:
    for command in (["check", "--fix-only", "--quiet", "--select=F401,I,PYI,UP"], ["format", "--quiet"]):
        ruff = [sys.executable, "-m", "ruff", *command, f"--stdin-filename={STUB}", "-"]
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout  # noqa: S603
    return text


if __name__ == "__main__":
    main()
