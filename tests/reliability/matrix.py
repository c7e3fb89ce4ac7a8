"""Which cells there are, and which of them the words of a command choose."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from reliability.engine import engines
from reliability.faults import FAULTS
from reliability.sides import SIDES


class Key(NamedTuple):
    """A cell of the matrix, by names."""

    engine: str
    fault: str
    side: str

    @property
    def is_promised(self) -> bool:
        """Whether it is one that Capa's bars hold for, and not a peer beside it."""
        return self.side.startswith("capa")

    @property
    def reason(self) -> str:
        """The reason for which it cannot be run; empty if it can."""
        return engines()[self.engine].not_run.get(self.fault, "")


def cells() -> Iterator[Key]:
    """Yield all cells: each fault of each engine with Capa, and beside it all others that can have it."""
    for engine in engines():
        for fault in FAULTS:
            for side in SIDES:
                key = Key(engine, fault, side)
                if _belongs(key):
                    yield key


def names() -> list[Sequence[str]]:
    """Return the names that choose cells: of engines, faults and sides."""
    return [list(engines()), list(FAULTS), list(SIDES)]


def chosen(words: Iterable[str]) -> list[Key]:
    """Return the cells that *words* name: of each kind of name (engine, fault, side) one of those given, or any.

    Words that are no such names choose nothing.
    """
    wanted = [set(words) & set(known) or set(known) for known in names()]
    return [
        key
        for key in cells()
        if not key.reason and all(name in ours for name, ours in zip(key, wanted, strict=True))
    ]


def _belongs(key: Key) -> bool:
    side, fault = SIDES[key.side], FAULTS[key.fault]
    if not side.runs_on(key.engine):
        return False
    if key.reason:
        return key.side == "capa"
    return {"pool": side.pool, "disk": key.side == "capa"}.get(fault.needs, True)
