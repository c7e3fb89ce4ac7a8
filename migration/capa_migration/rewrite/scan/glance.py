"""Glances at files: what the bytes alone tell, so that few files have to be parsed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from capa_codemods.api import Project, Sieve, UnreadableError, read_file, settings_in
from capa_migration.rewrite.scan.import_index import NamedImport, import_texts, named_imports
from capa_migration.rewrite.scan.libraries import Place, imported
from capa_migration.rewrite.scan.sites import Exclusion, Site, Uncertain, Unread
from capa_migration.rewrite.scan.texts import Text, texts


class Glance(NamedTuple):
    """The facts about one file that its bytes tell.

    Attributes:
        imports: Its imports, for the index.
        names_sdk: Whether it may import an SDK, or name one in a string that matters.
        libraries: Modules of libraries around the SDKs that it names, each with its place.
        unread: The reason if it cannot be read and may concern an SDK.
        settings: Settings of an SDK in a settings module that are not served in full.
        uncertain: Imports that look like those of an SDK, and are not certain to be some.
        excluding: Imports that would not find their adapter.
    """

    imports: frozenset[NamedImport] = frozenset()
    names_sdk: bool = False
    libraries: tuple[tuple[str, Place], ...] = ()
    unread: Unread | None = None
    uncertain: tuple[Uncertain, ...] = ()
    settings: tuple[Site, ...] = ()
    excluding: tuple[Exclusion, ...] = ()


class Glancer:
    """Looks at the files of one project."""

    def __init__(self, project: Project, sieve: Sieve) -> None:
        """Look for the SDKs of *sieve* in the files of *project*."""
        self._project = project
        self._sieve = sieve

    def look(self, path: str) -> Glance | None:
        """Return the facts about the file at *path*; None if there are none."""
        try:
            data = read_file(f"{self._project.root}/{path}") or b""
        except OSError as error:
            return Glance(unread=unread_file(path, error))
        try:
            parts = texts(path, data)
        except UnreadableError as error:
            return Glance(unread=unread_file(path, error)) if self._sieve.names(data) else None
        read = [(part, list(import_texts(part.data))) for part in parts]
        found = Glance(
            frozenset().union(*(named_imports(imports) for _, imports in read)),
            any(self._sieve.imports_or_quotes(part.data) for part in parts),
            tuple(
                (module, Place(path, part.line(line)))
                for part, imports in read
                for module, line in imported(path, part.data, imports, self._project)
            ),
        )
        found = found._replace(settings=tuple(one for part in parts for one in self._settings(path, part)))
        if found.names_sdk:
            refused = [one for part in parts for one in self._refused(path, part)]
            found = found._replace(
                uncertain=tuple(one for one in refused if isinstance(one, Uncertain)),
                excluding=tuple(one for one in refused if isinstance(one, Exclusion)),
            )
        return found if any(found) else None

    def _settings(self, path: str, part: Text) -> Iterator[Site]:
        for line, _, known in settings_in(part.data, self._project.names):
            owner = self._project.names.owner(known.name)
            if owner is not None:
                judged = (known.support, known.reason, known.see, known.instead)
                yield Site(path, part.line(line), owner.name, "use", known.name, (), *judged)

    def _refused(self, path: str, part: Text) -> Iterator[Uncertain | Exclusion]:
        """Yield the imports of *part* that stay: not certain to be those of an SDK, or without its adapter."""
        names = self._project.names
        refused = [
            root for root in names.roots if root.encode() in part.data and self._may_refuse(root, path)
        ]
        try:
            statements = part.read().imports(names.sieve.imported(part.data)) if refused else ()
        except UnreadableError:
            return  # the search for call sites reports it
        for statement in statements:
            module = statement.module or ""
            named = [f"{module}.{one.name}" if statement.is_from else one.name for one in statement.names]
            line = part.line(part.data.count(b"\n", 0, statement.start) + 1)
            for name in [module, *named] if not statement.level else ():
                if found := self._project.uncertain(name, path):
                    yield Uncertain(path, line, name, *found)
                    break
                root = name.partition(".")[0]
                if root in refused and (found := self._project.without_adapter(root, path)):
                    yield Exclusion(path, line, "imports", *found)
                    break

    def _may_refuse(self, root: str, path: str) -> bool:
        return self._project.may_doubt(root) or self._project.without_adapter(root, path) is not None


def unread_file(path: str, error: OSError | UnreadableError) -> Unread:
    """Return the message about a file, or a part of one, that could not be read because of *error*."""
    if isinstance(error, UnreadableError):
        return Unread(path, error.line, str(error), error.next_step)
    return Unread(path, 0, f"cannot be read: {error.strerror}", "allow reading it")
