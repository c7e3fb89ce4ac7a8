"""Survey of a tree: the call sites of each file that names an SDK, and how well each is served."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.resources import files as package_files
from typing import NamedTuple

from capa_codemods.api import (
    ImportMap,
    Names,
    Project,
    Sieve,
    UnreadableError,
    each_file,
    list_files,
    rare_garbage_collection,
    read_file,
    read_import_map,
    walk_statements,
)
from capa_migration.rewrite.scan.commands import commands
from capa_migration.rewrite.scan.exports import Exports
from capa_migration.rewrite.scan.import_index import ImportIndex
from capa_migration.rewrite.scan.judge import Judge
from capa_migration.rewrite.scan.libraries import Place, companions, imported, required
from capa_migration.rewrite.scan.moved import Moved
from capa_migration.rewrite.scan.nodes import is_self
from capa_migration.rewrite.scan.origins import Origins, plain
from capa_migration.rewrite.scan.scope import Scope
from capa_migration.rewrite.scan.sites import Kind, Site, Survey, Unread
from capa_migration.rewrite.scan.texts import Text, claims, joined, texts, tree_of
from capa_migration.rewrite.scan.walk import scopes
from capa_migration.rewrite.target import Options, Target


class FileResult(NamedTuple):
    """The results of one file: call sites of an SDK, those that have moved, and unreadable parts.

    Attributes:
        libraries: Modules of libraries around the SDKs that it names, each with its line.
    """

    sites: tuple[Site, ...] = ()
    moved: tuple[Site, ...] = ()
    unread: tuple[Unread, ...] = ()
    libraries: tuple[tuple[str, Place], ...] = ()


def survey(
    paths: str | Sequence[str], options: Options, progress: Callable[[int, int], None] | None = None
) -> Survey:
    """Return the SDKs and call sites of the tree, or the parts of one, at *paths*. No code of it is run.

    Raises:
        TargetError: There is nothing at one of *paths*.
        OptionsError: pyproject.toml is wrong.
        ImportMapError: An import map is wrong.
    """
    target = Target(paths)
    options = options.filled(target.root)
    listed = list_files(target.root, options.exclude)
    project = Project(target.root, Names(known_maps()), listed, options.roots)
    wanted = [one for one in target.within(listed) if claims(one)]
    found: list[FileResult] = []
    reader = Reader(project)
    reader.learn(_with_progress([one for one in listed if claims(one)], progress))
    for number, one in enumerate(each_file(reader.scan, wanted, _crashed), 1):
        if one is not None:
            found.append(one)
        if progress:
            progress(number, len(wanted))
    sites = tuple(site for one in found for site in one.sites)
    moved = tuple(site for one in found for site in one.moved)
    named = [one for each_found in found for one in each_found.libraries]
    return Survey(
        target.root,
        len(wanted),
        sites,
        unread=tuple(file for one in found for file in one.unread),
        commands=tuple(commands(target.within(listed), project)),
        moved=moved,
        companions=companions({site.sdk for site in (*sites, *moved)}, named, required(project)),
    )


def known_maps() -> list[ImportMap]:
    """Return the maps of the installed adapters, then those of SDKs that have no adapter yet.

    Raises:
        ImportMapError: A map is wrong.
    """
    from capa_codemods.api import import_map_paths

    installed = [read_import_map(path) for path in import_map_paths()]
    taken = {root for one in installed for root in one.roots}
    ours = sorted(str(path) for path in package_files(__package__).joinpath("sdks").iterdir())
    others = [read_import_map(path) for path in ours if path.endswith(".toml")]
    return installed + [one for one in others if not taken.intersection(one.roots)]


class Reader:
    """Reads the files of one project."""

    def __init__(self, project: Project) -> None:
        """Read files of *project* with its names."""
        self._project = project
        self._names = project.names
        self._judge = Judge(project.names)
        self._moved = Moved(project.names.maps)
        self._sieve = Sieve([*project.names.roots, *self._moved.roots])
        self._exports = Exports(project, self._moved)
        self._concerned: frozenset[str] = frozenset()

    def learn(self, paths: Iterable[str]) -> None:
        """Find the files among *paths*, all of the project, that name an SDK or import something of one."""
        index = ImportIndex()
        naming = []
        for path in paths:
            try:
                parts = texts(path, read_file(f"{self._project.root}/{path}") or b"")
            except (OSError, UnreadableError):
                continue  # `scan` reports it
            for part in parts:
                index.note(path, part.data)
            if any(self._sieve.imports_or_quotes(part.data) for part in parts):
                naming.append(path)
        with rare_garbage_collection():
            self._concerned = self._exports.learn(naming, index)

    def scan(self, path: str) -> FileResult | None:
        """Return the call sites of the file at *path*; None if it uses no SDK, and no library around one."""
        try:
            data = read_file(f"{self._project.root}/{path}")
        except OSError as error:
            return _unread(path, f"cannot be read: {error.strerror}", "allow reading it")
        if data is None:
            return None
        try:
            parts = texts(path, data)
        except UnreadableError as error:
            return FileResult(unread=(_unread_part(path, error),)) if self._sieve.names(data) else None
        found = self._found(path, parts)
        named = tuple(
            (module, Place(path, part.line(line)))
            for part in parts
            for module, line in imported(path, part.data, self._project)
        )
        return (found or FileResult())._replace(libraries=named) if named else found

    def _found(self, path: str, parts: Sequence[Text]) -> FileResult | None:
        if path not in self._concerned:
            return None
        read_parts, unread = [], []
        for part in parts:
            try:
                tree = tree_of(part.read())
            except UnreadableError as error:
                if self._may_use_sdk(part):
                    unread.append(_unread_part(path, error))
                continue
            if tree is None:
                unread.append(_newer(path, part))
            else:
                read_parts.append((part, tree))
        sites, moved = self._sites(path, joined(read_parts))
        if not (sites or moved or unread):
            return None
        return FileResult(tuple(sorted(sites)), tuple(sorted(moved)), tuple(unread))

    def _may_use_sdk(self, part: Text) -> bool:
        """Return whether an unreadable *part* may use an SDK; a cell may use names that another one imports."""
        may_use = self._sieve.names if part.lines else self._sieve.imports_or_quotes
        return may_use(part.data)

    def _sites(self, path: str, tree: ast.Module) -> tuple[list[Site], list[Site]]:
        """Return the call sites of *tree*: those on the original, and those that have moved."""
        origins = self._exports.origins(path)
        imported = _imported_modules(tree)
        imported |= {old for one in imported if (old := self._moved.old(one))}
        counted: set[int] = set()
        sites: tuple[list[Site], list[Site]] = ([], [])
        for scope, node in scopes(tree, origins):
            statement = self._moved.without_added_names(node) if isinstance(node, ast.Import) else node
            for kind, origin, arguments, line in _uses(statement, scope, origins, counted):
                old = self._moved.old(origin)
                name = old or origin
                owner = self._names.owner(plain(name))
                # An SDK may give out objects of others, such as a logger of the standard library.
                if owner is not None:
                    judged = self._judge.of(plain(name), arguments, imported)
                    sites[old is not None].append(
                        Site(path, line, owner.name, kind, name, arguments, *judged)
                    )
        return sites


def _with_progress(paths: Sequence[str], progress: Callable[[int, int], None] | None) -> Iterator[str]:
    for path in paths:
        if progress:
            progress(0, len(paths))
        yield path


class _Use(NamedTuple):
    kind: Kind
    origin: str
    arguments: tuple[str, ...]
    line: int


def _uses(node: ast.AST, scope: Scope, origins: Origins, counted: set[int]) -> Iterator[_Use]:
    """Yield the import, call or use at *node*; *counted* are the nodes inside a longer name that was yielded."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        yield from (_Use("import", name, (), node.lineno) for name in origins.imported(node))
    elif isinstance(node, ast.Call):
        if origin := origins.of(node.func, scope):
            counted.update(_chain(node.func))
            yield _Use("call", origin, _arguments(node), node.lineno)
    elif isinstance(node, (ast.Attribute, ast.Name)) and id(node) not in counted:
        origin = origins.of(node, scope) if _is_use(node) else None
        # A bare module or object is not a shape; its uses are counted where they are.
        if origin and "." in origin and not origin.endswith(")"):
            counted.update(_chain(node))
            yield _Use("use", origin, (), node.lineno)


def _is_use(node: ast.Attribute | ast.Name) -> bool:
    """Return whether *node* is read, or is an attribute that is set on something else than `self`."""
    is_set = isinstance(node, ast.Attribute) and not is_self(node.value)
    return is_set or isinstance(node.ctx, ast.Load)


def _chain(node: ast.AST) -> Iterator[int]:
    yield id(node)
    while isinstance(node, ast.Attribute):
        node = node.value
        yield id(node)


def _imported_modules(tree: ast.Module) -> set[str]:
    found = set()
    for node in walk_statements(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return found


def _arguments(node: ast.Call) -> tuple[str, ...]:
    return (*("*" for _ in node.args), *(keyword.arg or "**" for keyword in node.keywords))


def _crashed(path: str) -> FileResult:
    return _unread(path, "Python's parser crashes on it", "review it by hand")


def _unread(path: str, reason: str, next_step: str) -> FileResult:
    return FileResult(unread=(Unread(path, 0, reason, next_step),))


def _unread_part(path: str, error: UnreadableError) -> Unread:
    return Unread(path, error.line, str(error), error.next_step)


def _newer(path: str, part: Text) -> Unread:
    step = "run capa with that Python: calls are followed in the syntax tree"
    return Unread(path, part.lines[0] if part.lines else 0, "newer than this Python", step)
