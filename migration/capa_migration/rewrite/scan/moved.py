"""Call sites that have moved already: the adapters' names, mapped back to the old ones."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from itertools import pairwise

from capa_codemods.api import ImportMap


class Moved:
    """New names → old names.

    Attributes:
        roots: The adapters' packages, each with its import map.
        returns: The table `[returns]`, in new names.
    """

    def __init__(self, maps: Iterable[ImportMap]) -> None:
        """Read *maps* backwards; of two old modules with one new module, the first is taken."""
        served = [one for one in maps if one.modules]
        self.roots = {one.package: one for one in served}
        self.returns: dict[str, str] = {}
        self._old: dict[str, str] = {}
        for one in served:
            for old, new in one.modules.items():
                self._old.setdefault(new, old)
            self._old.update({line.to: line.name for line in one.names if line.to})
            self.returns.update(
                {_replaced(old, one.modules): _replaced(new, one.modules) for old, new in one.returns.items()}
            )

    def old(self, origin: str) -> str | None:
        """Return *origin* under its old name; None if it is a name of Capa's own, or of no adapter."""
        if origin.partition(".")[0] not in self.roots:
            return None
        found = _replaced(origin, self._old)
        return found if found != origin else None

    def without_added_names(self, node: ast.Import) -> ast.Import:
        """Return *node* without the names that only keep the old root bound: `import new.a, new as old`."""
        added = {id(one) for before, one in pairwise(node.names) if self._only_binds(before, one)}
        names = [one for one in node.names if id(one) not in added]
        return ast.copy_location(ast.Import(names), node) if added else node

    def _only_binds(self, before: ast.alias, one: ast.alias) -> bool:
        is_pair = before.asname is None and before.name.startswith(f"{one.name}.")
        return is_pair and one.asname is not None and self.old(one.name) == one.asname


def _replaced(name: str, places: Mapping[str, str]) -> str:
    """Return *name* with its longest beginning that is in *places* replaced."""
    head = name
    while head and head not in places:
        head = head.rpartition(".")[0]
    return places[head] + name[len(head) :] if head else name
