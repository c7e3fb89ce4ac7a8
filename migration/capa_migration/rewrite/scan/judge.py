"""Say how well Capa serves a call site, from the import maps."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from capa_codemods.api import NameLine, Names, Support


class Judgement(NamedTuple):
    """How well something is served, and if not in full, why and where to read on."""

    support: Support
    reason: str = ""
    see: str = ""


class Judge:
    """Knows the import maps."""

    def __init__(self, names: Names) -> None:
        """Judge by *names*."""
        self._names = names

    def of(self, name: str, arguments: Collection[str], imported: Collection[str]) -> Judgement:
        """Return how well the old *name*, called with *arguments*, is served.

        *imported* are the modules that the file imports: what stands between a served package and one of its
        attributes can only so be known to be a module.
        """
        owner = self._names.owner(name)
        if owner is None:
            return Judgement("none", "it belongs to no SDK that is known")
        if told := self._worst(name, arguments):
            return Judgement(told.support, told.reason, told.see)
        if not owner.modules:
            is_listed = self._names.nearest_line(name) is not None
            return Judgement("full") if is_listed else Judgement("none", owner.reason)
        module = max((one for one in imported if f"{name}.".startswith(f"{one}.")), key=len, default=None)
        if module is not None and module not in self._names.modules:
            return Judgement("none", f"{owner.package} does not list {module}")
        if self._names.is_unserved(name):
            return Judgement("none", f"{owner.package} does not list {name}")
        return Judgement("full")

    def _worst(self, name: str, arguments: Collection[str]) -> NameLine | None:
        lines = [self._names.line(name, argument) for argument in arguments]
        told = [line for line in (*lines, self._names.nearest_line(name)) if line and line.support != "full"]
        return min(told, key=lambda line: ("none", "partial").index(line.support), default=None)
