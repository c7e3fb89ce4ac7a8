"""Read a setup.py, without running it: the lists of requirements in its call of `setup`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from capa_codemods.errors import UnreadableError
from capa_codemods.manifests.entry_points import Entry, ManifestOfName, original
from capa_codemods.manifests.lines import is_capa
from capa_codemods.manifests.pins import Pin
from capa_codemods.read.syntax import Places, parse
from capa_codemods.sdks.names import Names

_LISTS = frozenset({"install_requires", "setup_requires", "tests_require"})
_NO_REQUIREMENTS = frozenset(
    {"keywords", "classifiers", "packages", "py_modules", "entry_points", "platforms"}
)


_PROSE = frozenset(
    {"name", "version", "description", "long_description", "url", "project_urls", "download_url", "license"}
    | {"author", "author_email", "maintainer", "maintainer_email"}
)


class Item(NamedTuple):
    """One string; *start* and *end* enclose it with its quotes, in characters."""

    value: str
    start: int
    end: int
    line: int


class SetupFile(ManifestOfName):
    """A setup.py. One that cannot be parsed requires nothing here: the rules for Python files report why."""

    suffixes = ("setup.py",)
    is_python = True

    def __init__(self, path: str, data: bytes) -> None:
        """Parse *data* and execute none of it."""
        super().__init__(path, data)
        self.source = self.text = data.decode(errors="replace")
        try:
            self.tree = parse(data)
            self._places = Places(data, self.line_starts)
        except UnreadableError:
            self.tree = ast.Module([], [])
        if "\ufffd" in self.text:  # in another encoding, where places would have to be counted again
            self.tree = ast.Module([], [])

    @cached_property
    def lists(self) -> Sequence[tuple[Item, ...]]:
        """The literal lists of requirements in the call of `setup`."""
        return [self._items(node) for node in self._list_nodes()]

    @cached_property
    def loose(self) -> Sequence[Item]:
        """The strings in other lists, tuples and dictionaries of the file, which may be requirements too."""
        known = {id(item) for node in self._list_nodes() for item in node.elts}
        return [self._item(node) for node in _collected(self.tree) if id(node) not in known]

    @property
    def pins(self) -> Iterator[Pin]:
        """Yield all requirements, what may be one too, and the versions of Python."""
        for items in (*self.lists, self.loose):
            yield from (Pin(item.value, item.line) for item in items)
        for call in self._setup_calls():
            for keyword in call.keywords:
                if keyword.arg == "python_requires" and _is_text(keyword.value):
                    item = self._item(keyword.value)
                    yield Pin.of_python(item.value, item.line)

    @property
    def texts(self) -> list[str] | None:
        """The words of all strings that may be requirements; None if the lists may hold others."""
        requiring = [
            keyword.value
            for call in self._setup_calls()
            for keyword in call.keywords
            if keyword.arg in {*_LISTS, "extras_require", None}
        ]
        if not self.tree.body or any(
            isinstance(node, (ast.Name, ast.Call)) for value in requiring for node in ast.walk(value)
        ):
            return None
        return [word for text in _strings(self.tree) for word in re.split(r"[\s,]+", text)]

    def offset(self, at: int) -> int:
        """Return where the character number *at* begins in the bytes."""
        return len(self.text[:at].encode())

    @property
    def entries(self) -> Iterator[Entry]:
        """Yield the entry points that are plain strings in the call of `setup`."""
        for call in self._setup_calls():
            for keyword in call.keywords:
                for node in ast.walk(keyword.value) if keyword.arg == "entry_points" else ():
                    item = self._item(node) if isinstance(node, ast.Constant) and _is_text(node) else None
                    # One without `=` names a group, not a module to load.
                    if item and "=" in item.value and self.text[item.start + 1 : item.end - 1] == item.value:
                        yield Entry(item.value, self.offset(item.start + 1), item.line)

    def _setup_calls(self) -> Iterator[ast.Call]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and "setup" in {
                getattr(node.func, "attr", ""),
                getattr(node.func, "id", ""),
            }:
                yield node

    def _list_nodes(self) -> Iterator[ast.List]:
        for keyword in (keyword for call in self._setup_calls() for keyword in call.keywords):
            if keyword.arg in _LISTS and isinstance(keyword.value, ast.List):
                yield keyword.value
            elif keyword.arg == "extras_require" and isinstance(keyword.value, ast.Dict):
                yield from (value for value in keyword.value.values if isinstance(value, ast.List))

    def _items(self, node: ast.List) -> tuple[Item, ...]:
        return tuple(self._item(item) for item in node.elts if _is_text(item))

    def _item(self, node: ast.expr) -> Item:
        start = self._places.offset(node.lineno, node.col_offset)
        end = self._places.offset(node.end_lineno or 0, node.end_col_offset or 0)
        value = str(getattr(node, "value", ""))
        return Item(value, len(self.data[:start].decode()), len(self.data[:end].decode()), node.lineno)

    def flaw(self, new: bytes, names: Names) -> str | None:
        """Parse *new* and compare: nothing but the requirements of Capa and the modules of entry points may differ."""
        after = type(self)(self.path, new)
        if not after.tree.body:
            return "the result is no longer Python"
        try:
            # The transformer changes the tree that it is given, so each tree is parsed for it.
            same = _without_capa(parse(self.data), names) == _without_capa(after.tree, names)
        except RecursionError:
            return "its expressions are nested too deeply"
        return None if same else "something but Capa's item differs"


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _collected(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield the strings in lists, tuples, sets and dictionaries, in the order of the text."""
    queue: list[ast.AST] = [tree]
    while queue:
        node = queue.pop(0)
        if isinstance(node, ast.keyword) and node.arg in _NO_REQUIREMENTS:
            continue
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            yield from filter(_is_text, node.elts)
        queue.extend(ast.iter_child_nodes(node))


def _strings(tree: ast.AST) -> Iterator[str]:
    """Yield the strings of *tree* except its prose."""
    queue: list[ast.AST] = [tree]
    while queue:
        node = queue.pop()
        if isinstance(node, ast.keyword) and node.arg in _NO_REQUIREMENTS | _PROSE:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif not (isinstance(node, ast.Expr) and _is_text(node.value)):
            queue.extend(ast.iter_child_nodes(node))


def _without_capa(tree: ast.Module, names: Names) -> str:
    class Remover(ast.NodeTransformer):
        def visit_List(self, node: ast.List) -> ast.AST:
            kept = [
                item for item in node.elts if not (isinstance(item, ast.Constant) and _is_ours(item.value))
            ]
            return self.generic_visit(ast.List(kept, node.ctx))

        def visit_Constant(self, node: ast.Constant) -> ast.AST:
            return ast.Constant(original(node.value, names)) if isinstance(node.value, str) else node

    return ast.dump(Remover().visit(tree))


def _is_ours(value: object) -> bool:
    return isinstance(value, str) and is_capa(value)
