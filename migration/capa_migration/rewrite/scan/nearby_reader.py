"""A reader of a few files in a large tree, for calls that are known by their words."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Protocol

from capa_codemods.api import Project, PythonFile, Sieve, UnreadableError
from capa_migration.rewrite.scan.moved import Moved
from capa_migration.rewrite.scan.nearby import NearbyExports, without_other_functions
from capa_migration.rewrite.scan.origins import plain
from capa_migration.rewrite.scan.results import FileResult
from capa_migration.rewrite.scan.search import Search, Sites
from capa_migration.rewrite.scan.slices import Slicer
from capa_migration.rewrite.scan.texts import Text, joined
from capa_migration.rewrite.scan.uses import uses
from capa_migration.rewrite.scan.walk import bound_module, scopes


class Words(Protocol):
    """The words of the calls to look for."""

    @property
    def last_names(self) -> Collection[str]:
        """The names that end the name of such a call, and the keyword arguments that make one."""

    @property
    def givers(self) -> Collection[str]:
        """The names of objects on which nearly all calls are such."""

    def lines_in(self, data: bytes) -> Sequence[int]:
        """Return the lines of *data*, from 1, that may hold such a call or an end of it, sorted."""


class NearbyReader(Search):
    """Reads a few files of one project, and no other file than those from which they import."""

    def __init__(self, project: Project, words: Words) -> None:
        """Read files of *project* for calls with *words*."""
        moved = Moved(project.names.maps)
        sieve = Sieve([*project.names.roots, *moved.roots])
        self._nearby = NearbyExports(project, moved, sieve)
        self._project = project
        self._words = words
        super().__init__(project, moved, sieve, self._nearby)

    def concerned(self, paths: Iterable[str]) -> frozenset[str]:
        """Return those of *paths* that may hold such a call on an SDK: the only ones to ask for their `results`."""
        return frozenset(filter(self._nearby.may_import, paths))

    def _read(self, path: str, data: bytes) -> PythonFile:
        return self._project.python_file(path, data)  # the rules read it too

    def _found(self, path: str, parts: Sequence[Text]) -> FileResult | None:
        read = list(_readable(parts))
        if len(parts) == 1 and read and not self._holds_call(path, *read[0]):
            return None
        origins = self._exports.origins(path)
        sites: Sites = ([], [])
        with ExitStack() as stack:
            for part, tree in read:
                stack.enter_context(without_other_functions(tree, self._words.lines_in(part.data)))
            tree = joined(read)
            self._add_uses(path, bound_module(tree, origins), self._imported([tree]), origins, sites)
        original, moved = sites
        return FileResult(tuple(sorted(original)), tuple(sorted(moved)))

    def _holds_call(self, path: str, part: Text, tree: ast.Module) -> bool:
        """Return whether a name on the lines with the words is one of an SDK to tell of, or gives such."""
        if b":=" in part.data:
            return True  # a slice has no names that an expression binds
        lines = self._words.lines_in(part.data)
        origins = self._nearby.origins_of_part(path)
        counted: set[int] = set()
        sliced = Slicer(tree, lines, self._words.last_names).sliced()
        for one in scopes(bound_module(sliced, origins), origins):
            for use in uses(one.nodes, one.scope, origins, counted):
                name = plain(self._old_name(use.origin))
                if use.kind == "import" or self._names.owner(name) is None:
                    continue
                limit = self._names.limit(name, use.arguments)
                is_unserved = self._judge.of(name, use.arguments, ()).support == "none"
                if is_unserved or (limit is not None and limit.changes) or name in self._words.givers:
                    return True
        return False


def _readable(parts: Sequence[Text]) -> Iterator[tuple[Text, ast.Module]]:
    for part in parts:
        try:
            yield part, part.read().tree
        except UnreadableError:
            continue  # the rules report it
