"""Results of one file of a scan, and their text for the cache."""

from __future__ import annotations

import json
from typing import NamedTuple

from capa_migration.rewrite.scan.commands import Command
from capa_migration.rewrite.scan.libraries import Place
from capa_migration.rewrite.scan.sites import Exclusion, Site, Uncertain, Unread


class FileResult(NamedTuple):
    """The results of one file.

    Attributes:
        sites: Call sites of an SDK.
        moved: Call sites that have moved.
        unread: The file, or cells of it, if they cannot be read.
        libraries: Modules of libraries around the SDKs that it names, each with its place.
        commands: Commands in it that start Celery.
        uncertain: Imports in it that look like those of an SDK.
        excluding: Of a manifest, the pins that exclude Capa; of code, the imports whose adapter is hidden.
        required: Of a manifest, the distributions of such libraries that it names, each with its place.
    """

    sites: tuple[Site, ...] = ()
    moved: tuple[Site, ...] = ()
    unread: tuple[Unread, ...] = ()
    libraries: tuple[tuple[str, Place], ...] = ()
    commands: tuple[Command, ...] = ()
    required: tuple[tuple[str, Place], ...] = ()
    uncertain: tuple[Uncertain, ...] = ()
    excluding: tuple[Exclusion, ...] = ()

    @property
    def text(self) -> str:
        """The results as one line of text."""
        return json.dumps(self)

    @classmethod
    def from_text(cls, text: str) -> FileResult:
        """Return the results with this *text*.

        Raises:
            ValueError: It is none of such results.
        """
        try:
            sites, moved, unread, libraries, commands, required, uncertain, excluding = json.loads(text)
            return cls(
                tuple(map(_site, sites)),
                tuple(map(_site, moved)),
                tuple(Unread(*one) for one in unread),
                _placed(libraries),
                tuple(Command(*one) for one in commands),
                _placed(required),
                tuple(Uncertain(*one) for one in uncertain),
                tuple(Exclusion(*one) for one in excluding),
            )
        except TypeError as error:
            raise ValueError(f"not the results of a file: {error}") from error


def _site(values: list[object]) -> Site:
    path, line, sdk, kind, name, arguments, *rest = values
    return Site(path, line, sdk, kind, name, tuple(arguments), *rest)  # type: ignore[arg-type]  # `text` wrote them


def _placed(values: list[tuple[str, list[object]]]) -> tuple[tuple[str, Place], ...]:
    return tuple((name, Place(*place)) for name, place in values)  # type: ignore[arg-type]  # `text` wrote them
