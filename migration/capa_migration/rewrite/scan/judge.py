"""Support of call sites: how well Capa serves each, by the import maps."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from capa_codemods.api import Names, Support


class Judgement(NamedTuple):
    """The support of a name or call; if it is not full, with the reason, a link, and what to use in its place."""

    support: Support
    reason: str = ""
    see: str = ""
    instead: str = ""


class Judge:
    """Judges names and calls by the import maps."""

    def __init__(self, names: Names) -> None:
        """Judge by *names*."""
        self._names = names

    def of(self, name: str, arguments: Collection[str], imported: Collection[str]) -> Judgement:
        """Return how well the old *name*, called with *arguments*, is served.

        *imported* are the modules that the file imports: only they show that a name between a served package and one
        of its attributes is a module.
        """
        owner = self._names.owner(name)
        if owner is None:
            return Judgement("none", "it belongs to no known SDK")
        if line := self._names.limit(name, arguments):
            return Judgement(line.support, line.reason, line.see, line.instead)
        if not owner.modules:
            is_listed = self._names.nearest_line(name) is not None
            return Judgement("full") if is_listed else Judgement("none", owner.reason)
        module = max((one for one in imported if f"{name}.".startswith(f"{one}.")), key=len, default=None)
        if module is not None and module not in self._names.modules:
            return Judgement("none", f"{owner.package} does not list {module}")
        if self._names.is_unserved(name):
            return Judgement("none", f"{owner.package} does not list {name}")
        return Judgement("full")
