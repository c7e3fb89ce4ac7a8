"""Know call sites that have moved already: the adapters' names, mapped back to the old ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from capa_codemods.import_map import ImportMap


class Moved:
    """New names → old names.

    Attributes:
        roots: The adapters' packages, each with its import map.
        returns: What `[returns]` says, in new names.
    """

    def __init__(self, maps: Iterable[ImportMap]) -> None:
        """Read *maps* backwards; where two old modules went to one new module, the first speaks for both."""
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
        """Return *origin* under its old name; None if it is a name of Capa's own, or no adapter's at all."""
        if origin.partition(".")[0] not in self.roots:
            return None
        found = _replaced(origin, self._old)
        return found if found != origin else None


def _replaced(name: str, places: Mapping[str, str]) -> str:
    """Return *name* with the longest of its beginnings that *places* knows replaced."""
    head = name
    while head and head not in places:
        head = head.rpartition(".")[0]
    return places[head] + name[len(head) :] if head else name
