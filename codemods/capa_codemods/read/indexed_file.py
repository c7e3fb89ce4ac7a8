"""A file by the names that it imports and reads: for strings of other files, of which it may read many."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property, lru_cache

from capa_codemods.errors import UnreadableError
from capa_codemods.read.container_paths import Item
from capa_codemods.read.facts import Held
from capa_codemods.read.python_file import walk_statements
from capa_codemods.read.scopes import Scopes
from capa_codemods.read.string_uses import dotted_name
from capa_codemods.read.syntax import parse


class IndexedFile:
    """The syntax tree of one file, with the imports and the scopes in it."""

    def __init__(self, tree: ast.Module) -> None:
        """Index *tree* as far as it is asked for."""
        self.tree = tree

    @cached_property
    def scopes(self) -> Scopes:
        """The names and attributes, by scope."""
        return Scopes(self.tree)

    def reads(self, held: Held, module: str) -> Iterator[tuple[Held, list[ast.AST]]]:
        """Yield the places that read what *held* tells of *module*, the last part of a name, and how it is held there.

        The member of a class may be read from the class, an object of it or a class that inherits from it, all of
        which have many names: where the class is named, each attribute of that name counts. An enumeration holds it
        as an item.
        """
        modules = {module, *self._bound(module, "")}
        named = (read for name in self._bound(held.name, module) for read in self.scopes.named(name))
        inside = (
            read
            for read in self.scopes.attributes(held.name)
            if dotted_name(read.value).rpartition(".")[2] in modules
        )
        reads: list[ast.AST] = [*named, *inside]
        if held.member and reads:
            yield held, list(self.scopes.attributes(held.member))
            yield held._replace(path=(Item(), *held.path)), reads
        else:
            yield held, reads

    @cached_property
    def _imports(self) -> list[ast.Import | ast.ImportFrom]:
        nodes = walk_statements(self.tree)
        return [node for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom))]

    def _bound(self, name: str, module: str) -> Iterator[str]:
        """Yield the names for *name* of *module*, of any if that is empty, or for *name*, a module itself."""
        for node in self._imports:
            if isinstance(node, ast.ImportFrom):
                if not module or not node.module or node.module.rpartition(".")[2] == module:
                    yield from (one.asname or one.name for one in node.names if one.name == name)
                    yield from (name for one in node.names if one.name == "*")
            elif not module:
                yield from (
                    one.asname for one in node.names if one.asname and one.name.rpartition(".")[2] == name
                )


@lru_cache(maxsize=8)  # a file is asked for each name that it may read
def indexed_file(data: bytes) -> IndexedFile | None:
    """Return the file *data*; None if it cannot be parsed, which the rewrite of that file reports."""
    try:
        return IndexedFile(parse(data))
    except UnreadableError:
        return None
