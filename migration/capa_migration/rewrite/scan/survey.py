"""Survey of a tree: the call sites of each file that names an SDK, and how well each is served."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files as package_files
from itertools import groupby

from capa_codemods.api import (
    ImportMap,
    Names,
    Project,
    Sieve,
    each_file,
    excluding,
    find_scripts,
    may_be_script,
    rare_garbage_collection,
    read_import_map,
)
from capa_migration.rewrite.passed_over import Files, counted, failures
from capa_migration.rewrite.scan.commands import commands
from capa_migration.rewrite.scan.exports import Exports
from capa_migration.rewrite.scan.glance import Glance, Glancer
from capa_migration.rewrite.scan.import_index import ImportIndex
from capa_migration.rewrite.scan.libraries import companions, required
from capa_migration.rewrite.scan.moved import Moved
from capa_migration.rewrite.scan.progress import COUNTED, READ, Progress, no_progress
from capa_migration.rewrite.scan.remembered import Remembered, is_read
from capa_migration.rewrite.scan.results import FileResult
from capa_migration.rewrite.scan.search import Search
from capa_migration.rewrite.scan.sites import Exclusion, Survey, Unread
from capa_migration.rewrite.scan.texts import claims
from capa_migration.rewrite.target import Options, Target, require_known


def survey(paths: str | Sequence[str], options: Options, progress: Progress = no_progress) -> Survey:
    """Return the SDKs and call sites of the tree, or the parts of one, at *paths*. No code of it is run.

    Only its own cache is written.

    Raises:
        TargetError: There is nothing at one of *paths*.
        OptionsError: pyproject.toml is wrong.
        ImportMapError: An import map is wrong.
    """
    target = Target(paths)
    options = options.filled(target.root)
    files = Files.of(target, options.exclude)
    scripts = find_scripts(target.root, files.listed, target.scopes)
    python = [one for one in files.listed if claims(one) or one in scripts]
    remembered = Remembered(target.root, options, files.listed)
    # A script of another name is one only if it is named.
    found = remembered.results() if all(map(may_be_script, scripts)) else None
    if found is None:
        project = Project(target.root, Names(known_maps()), files.listed, options.roots, sdks=options.sdks)
        require_known(options.sdks, project.names)
        found = _results(project, python, files.inside, progress)
        if not target.scopes:
            remembered.save(found)
    return _survey(files, python, found)


def _results(
    project: Project, python: list[str], paths: list[str], progress: Progress
) -> dict[str, FileResult]:
    """Return the results of those of *paths* that have some, and of all manifests of *project*.

    *python* are all files of the project that hold Python.
    """
    own = [one for one in python if project.capa_around(one.rpartition("/")[0]) is None]
    reader = Reader(project)
    reader.learn(own, progress)
    inside = frozenset(paths)
    found = dict(reader.results([one for one in own if one in inside], progress))
    for path, held in groupby(commands(paths, project), lambda one: one.path):
        found[path] = found.get(path, FileResult())._replace(commands=tuple(held))
    for path, pins in groupby(_excluding(project), lambda one: one.path):
        result = found.get(path, FileResult())
        found[path] = result._replace(excluding=(*result.excluding, *pins))
    for path, names in groupby(required(project), lambda one: one[1].path):
        found[path] = found.get(path, FileResult())._replace(required=tuple(names))
    return found


def _excluding(project: Project) -> Iterator[Exclusion]:
    """Yield the pins of *project* that exclude Capa with the extras for the SDKs that have an adapter."""
    served = Names(one for one in project.names.maps if one.modules)
    for path, one in excluding(project.with_names(served)):
        yield Exclusion(path, one.line, one.rule, one.message, one.next_step)


def _survey(files: Files, python: list[str], found: Mapping[str, FileResult]) -> Survey:
    """Return the sums of the results *found*, of all files or of those inside; *python* are those that hold Python."""
    seen = files.target.within(python)
    wanted = {*seen, *filter(is_read, files.inside)}
    unread = tuple(Unread(one.path, 0, one.reason, one.next_step) for one in failures(files, wanted))
    results = [found[path] for path in files.inside if path in found]
    sites = tuple(site for one in results for site in one.sites)
    moved = tuple(site for one in results for site in one.moved)
    used = {site.sdk for site in (*sites, *moved)}
    named = [library for one in results for library in one.libraries]
    needed = [name for path in files.listed if path in found for name in found[path].required]
    return Survey(
        files.target.root,
        len(seen),
        sites,
        unread=(*unread, *(file for one in results for file in one.unread)),
        commands=tuple(command for one in results for command in one.commands),
        moved=moved,
        uncertain=tuple(one for result in results for one in result.uncertain),
        companions=companions(used, named, needed),
        bring=tuple(one.bring for one in (known_maps() if used else ()) if one.bring and one.name in used),
        passed_over=counted(files, wanted, {}),
        excluding=tuple(one for result in results for one in result.excluding),
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
        self._moved = Moved(project.names.maps)
        self._sieve = Sieve([*project.names.roots, *self._moved.roots])
        self._exports = Exports(project, self._moved, self._sieve)
        self._glances: dict[str, Glance] = {}
        self._concerned: frozenset[str] = frozenset()

    def learn(self, paths: Sequence[str], progress: Progress = no_progress) -> None:
        """Glance at *paths*, all files of the project, and find those that name an SDK or import something of one."""
        index = ImportIndex()
        look = Glancer(self._project, self._sieve).look
        glances = zip(paths, each_file(look, paths, _crashed_glance), strict=True)
        for done, (path, seen) in enumerate(glances, 1):
            progress(done, len(paths), READ)
            if seen is not None:
                self._glances[path] = seen
                index.note(path, seen.imports)
        naming = [path for path, seen in self._glances.items() if seen.names_sdk]
        with rare_garbage_collection():
            self._concerned = self._exports.learn(naming, index, progress)

    def results(
        self, paths: Sequence[str], progress: Progress = no_progress
    ) -> Iterator[tuple[str, FileResult]]:
        """Yield those of *paths* that use an SDK or a library around one, or cannot be read, with their results."""
        concerned = [path for path in paths if path in self._concerned]
        found = {}
        search = Search(self._project, self._moved, self._sieve, self._exports)
        for done, result in enumerate(each_file(search.results, concerned, _crashed), 1):
            progress(done, len(concerned), COUNTED)
            if result is not None:
                found[concerned[done - 1]] = result
        for path in paths:
            seen, result = self._glances.get(path, Glance()), found.get(path, FileResult())
            if seen.unread is not None:
                result = FileResult(unread=(seen.unread,))
            sites = tuple(sorted((*result.sites, *seen.settings)))
            result = result._replace(sites=sites, libraries=seen.libraries)
            result = result._replace(uncertain=seen.uncertain, excluding=seen.excluding)
            if any(result):
                yield path, result


def _crashed(path: str) -> FileResult:
    return FileResult(unread=(_crash(path),))


def _crashed_glance(path: str) -> Glance:
    return Glance(unread=_crash(path))


def _crash(path: str) -> Unread:
    return Unread(path, 0, "Python's parser crashes on it", "review it by hand")
