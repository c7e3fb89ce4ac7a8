"""Search of one file for the places where it uses an SDK."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from capa_codemods.api import (
    PatchTarget,
    Project,
    PythonFile,
    Sieve,
    UnreadableError,
    patch_targets,
    read_file,
)
from capa_migration.rewrite.scan.exports import Exports
from capa_migration.rewrite.scan.glance import unread_file
from capa_migration.rewrite.scan.judge import Judge
from capa_migration.rewrite.scan.moved import Moved
from capa_migration.rewrite.scan.origins import Origins, plain
from capa_migration.rewrite.scan.part import bound_part
from capa_migration.rewrite.scan.results import FileResult
from capa_migration.rewrite.scan.sites import Site
from capa_migration.rewrite.scan.texts import Text, joined, texts
from capa_migration.rewrite.scan.uses import imported_modules, uses
from capa_migration.rewrite.scan.walk import Bound, bound_module, scopes

Sites = tuple[list[Site], list[Site]]
"""The sites on the original, and those that have moved."""


class Search:
    """Searches the files of one project."""

    def __init__(self, project: Project, moved: Moved, sieve: Sieve, exports: Exports) -> None:
        """Search files of *project*, which import *exports* from each other."""
        self._root = project.root
        self._names = project.names
        self._moved = moved
        self._sieve = sieve
        self._exports = exports
        self._judge = Judge(project.names)

    def results(self, path: str) -> FileResult | None:
        """Return the call sites of the file at *path*; None if it uses no SDK."""
        try:
            return self._found(path, texts(path, read_file(f"{self._root}/{path}") or b"", self._read))
        except (OSError, UnreadableError) as error:  # it has changed since it was glanced at
            return FileResult(unread=(unread_file(path, error),))

    def _found(self, path: str, parts: Sequence[Text]) -> FileResult | None:
        origins = self._exports.origins(path)
        imports = [self._exports.imports(part.data, origins) for part in parts]
        files, patched, unread = list[tuple[Text, PythonFile]](), list[PatchTarget](), []
        # Without an import there is no use. What names an SDK is read nevertheless: it may patch, or be unreadable.
        for part in parts if any(imports) else filter(self._is_to_be_read, parts):
            try:
                file = part.read()
            except UnreadableError as error:
                if self._may_use_sdk(part):
                    unread.append(unread_file(path, error))
                continue
            patched += self._patched(part, file, origins)  # before the tree loses anything
            files.append((part, file))
        sites: Sites = ([], [])
        if any(imports) or patched:
            imported = self._imported(file.tree for _, file in files)
            self._add_patches(path, patched, imported, sites)
            self._add_uses(path, self._bound(path, files, imports, origins), imported, origins, sites)
        if not (any(sites) or unread):
            return None
        original, moved = sites
        return FileResult(tuple(sorted(original)), tuple(sorted(moved)), tuple(unread))

    def _read(self, path: str, data: bytes) -> PythonFile:
        return PythonFile(path, data)

    def _patched(self, part: Text, file: PythonFile, origins: Origins) -> Iterator[PatchTarget]:
        """Yield the names of an SDK that a test in *part* patches, with lines of the whole file."""
        quoted = self._sieve.quoted(part.data)
        for one in patch_targets(file, quoted, self._names, self._old_name) if quoted else ():
            if re.split("[.:]", one.written, maxsplit=1)[0] in origins.roots:
                yield one._replace(line=part.line(one.line))

    def _old_name(self, name: str) -> str:
        return self._moved.old(name) or name

    def _is_to_be_read(self, part: Text) -> bool:
        """Return whether a *part* that imports nothing of an SDK may patch one, or be unreadable and use one."""
        if not self._may_use_sdk(part):
            return False
        return bool(part.lines or self._sieve.quoted(part.data) or not PythonFile.is_readable(part.data))

    def _may_use_sdk(self, part: Text) -> bool:
        """Return whether an unreadable *part* may use an SDK; a cell may use names that another one imports."""
        may_use = self._sieve.names if part.lines else self._sieve.imports_or_quotes
        return may_use(part.data)

    def _imported(self, trees: Iterable[ast.Module]) -> set[str]:
        """Return the modules that *trees* import, and the old ones of adapters."""
        found = {name for tree in trees for name in imported_modules(tree)}
        return found | {old for one in found if (old := self._moved.old(one))}

    def _bound(
        self,
        path: str,
        files: Sequence[tuple[Text, PythonFile]],
        imports: Sequence[Sequence[int]],
        origins: Origins,
    ) -> Bound:
        """Return what may use an SDK in the file at *path*, with its names bound; all cells of a notebook."""
        if len(files) == 1 and not files[0][0].lines:
            return bound_part(files[0][1], imports[0], self._exports.known(path), origins, bound_module)
        return bound_module(joined((part, file.tree) for part, file in files), origins)

    def _add_uses(
        self, path: str, module: Bound, imported: Collection[str], origins: Origins, sites: Sites
    ) -> None:
        """Add to *sites* the uses in *module*, in a file at *path* that has *imported* such modules."""
        counted: set[int] = set()
        for one in scopes(module, origins):
            nodes = map(self._written, one.nodes)
            for kind, origin, arguments, line in uses(nodes, one.scope, origins, counted):
                old = self._moved.old(origin)
                name = old or origin
                owner = self._names.owner(plain(name))
                # An SDK may give out objects of others, such as a logger of the standard library.
                if owner is not None:
                    judged = self._judge.of(plain(name), arguments, imported)
                    sites[old is not None].append(
                        Site(path, line, owner.name, kind, name, arguments, *judged)
                    )

    def _written(self, node: ast.AST) -> ast.AST:
        return self._moved.without_added_names(node) if isinstance(node, ast.Import) else node

    def _add_patches(
        self, path: str, patched: Iterable[PatchTarget], imported: Collection[str], sites: Sites
    ) -> None:
        for target in patched:
            owner = self._names.owner(target.name)
            judged = self._judge.of(target.name, (), imported)
            sites[target.written.replace(":", ".") != target.name].append(
                Site(path, target.line, owner.name if owner else "", "patch", target.name, (), *judged)
            )
