"""Clues: the words of a file without which it cannot hold a call that an adapter does not serve, or serves otherwise.

Few files hold them, so that few need to be parsed. They follow from the lines with `none` or `changes` in the import
maps:

    celery.Celery.conf.worker_consumer           `.conf` and `worker_consumer`
    …ApolloClient.start, argument catch_signals  `.start` and `catch_signals`
    celery.app.control.Control.pool_restart      `.pool_restart`
    celery.signals.task_rejected                 `signals.task_rejected`, in a file that names the SDK
    __name__ of any module                       `.__name__`, in a file that names the SDK
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from itertools import groupby

from capa_codemods.api import MODULE_NAMES, ImportMap, NameLine, Names, search_for

_Holds = Callable[[bytes], bool]

Clue = tuple[bytes, ...]
"""Words that must all be there; a first one that begins with a dot must be an attribute."""

_OF_MODULE_NAMES: tuple[Clue, ...] = tuple((f".{name}".encode(),) for name in MODULE_NAMES)


class Clues:
    """The clues of all adapters.

    Attributes:
        last_names: The names that end the name of such a call, and the keyword arguments that make one.
        givers: The names of objects on which nearly all calls are such.
    """

    def __init__(self, names: Names) -> None:
        """Derive the clues from the import maps of *names*."""
        moved = [one for one in names.maps if one.modules]
        self._sieve = names.sieve
        roots = [*names.roots, *(one.package for one in moved)]
        lines = [(one, line) for one in moved for line in one.names if line.is_told]
        self._of_objects = _Search(
            (clue for one, line in lines for clue in _of_object(one, line, names)), roots
        )
        self._of_modules = _Search(
            (*(clue for _, line in lines for clue in _of_module(line)), *_OF_MODULE_NAMES)
        )
        last_words = self._of_objects.last_words | self._of_modules.last_words
        # A class or module of its own is no clue, but in a file with one it is looked for too.
        others = {*(line.name for _, line in lines), *(old for one in moved for old in one.unserved)}
        words = last_words | {".".join(name.split(".")[-2:]).encode() for name in others}
        self._words = [(word, search_for([word])) for word in words]
        self.last_names = frozenset(word.decode().rpartition(".")[2] for word in words)
        self.givers = frozenset(
            old
            for one, line in lines
            for old, new in one.returns.items()
            if new.removesuffix("()") == line.name
        )

    def lines_in(self, data: bytes) -> list[int]:
        """Return the lines of *data*, from 1, that may hold such a call or an end of it, sorted."""
        places = [place for word, holds in self._words if holds(data) for place in _places(data, word)]
        return sorted({data.count(b"\n", 0, place) + 1 for place in places})

    def are_in(self, data: bytes) -> bool:
        """Return whether *data* may hold such a call, on an object of its own or of another file."""
        return self._of_objects.are_in(data) or (self._sieve.names(data) and self._of_modules.are_in(data))


class _Search:
    def __init__(self, clues: Iterable[Clue], roots: Iterable[str] = ()) -> None:
        listed = sorted(set(clues))
        self.last_words = frozenset(clue[-1] for clue in listed)
        others = {
            first: [frozenset(rest) for _, *rest in group]
            for first, group in groupby(listed, lambda clue: clue[0])
        }
        # "revoke_by" need not be looked for where "revoke" is: fewer passes over every file of the tree.
        self._may_hold = search_for(
            first for first in others if not any(first.startswith(one) and first != one for one in others)
        )
        self._searches = [
            (
                first,
                search_for([first]),
                tuple(root.encode() + first for root in roots),
                _search_for_each(rest),
            )
            for first, rest in others.items()
        ]

    def are_in(self, data: bytes) -> bool:
        if not self._may_hold(data):
            return False
        return any(
            holds(data)
            and _is_used(data, first, modules)
            and (not others or any(one(data) for one in others))
            for first, holds, modules, others in self._searches
        )


def _search_for_each(clues: Collection[frozenset[bytes]]) -> list[_Holds]:
    """Return predicates of which one is true if bytes hold all words of one of *clues*; none if a clue has no words."""
    least = [clue for clue in clues if not any(one < clue for one in clues)]
    if frozenset() in least:
        return []
    alone = search_for(word for clue in least if len(clue) == 1 for word in clue)
    return [
        alone,
        *(partial(_holds_all, list(map(search_for, zip(clue)))) for clue in least if len(clue) > 1),
    ]


def _holds_all(searches: Iterable[_Holds], data: bytes) -> bool:
    return all(holds(data) for holds in searches)


def _is_used(data: bytes, first: bytes, modules: tuple[bytes, ...]) -> bool:
    """Return whether *data* holds *first* outside imports, where it does not end one of *modules* on top of an SDK."""
    for start in _places(data, first):
        line = data[data.rfind(b"\n", 0, start) + 1 : start].lstrip()
        is_module = data.endswith(modules, 0, start + len(first))
        if not is_module and not line.startswith((b"from ", b"import ")):
            return True
    return False


def _places(data: bytes, word: bytes) -> Iterator[int]:
    """Yield the places of *word* that are not the beginning of a longer one."""
    start = data.find(word)
    while start >= 0:
        end = start + len(word)
        if not data[end : end + 1].isalnum() and data[end : end + 1] != b"_":
            yield start
        start = data.find(word, end)


def _of_object(owner: ImportMap, line: NameLine, names: Names) -> Iterator[Clue]:
    """Yield the clues for a name that is reached through an object, which another file may have made."""
    attributes = _attributes(line.name)
    if attributes and not attributes[0].startswith("_"):
        words = [f".{attributes[0]}", *attributes[1:], *([line.argument] if line.argument else [])]
        yield tuple(word.encode() for word in words)
    elif attributes is not None:
        for giver in (old for old, new in owner.returns.items() if new.removesuffix("()") == line.name):
            above = names.nearest_line(giver)
            # The clue for a name that is itself not served covers all that is reached through it.
            if (given := _attributes(giver)) and (above is None or above.support != "none"):
                yield (f".{given[0]}".encode(),)


def _of_module(line: NameLine) -> Iterator[Clue]:
    """Yield the clue for a name that is reached through its module, or is private to its class.

    One that is imported by itself stays on the original, and the rule for imports reports it.
    """
    attributes = _attributes(line.name)
    if attributes is None or "".join(attributes).startswith("_"):
        *_, module, last = line.name.split(".")
        words = (last, line.argument) if line.argument else (last,) if attributes else (f"{module}.{last}",)
        yield tuple(word.encode() for word in words)


def _attributes(name: str) -> list[str] | None:
    """Return the parts of *name* behind its class; None if it has none."""
    parts = name.split(".")
    at = next((number for number, part in enumerate(parts) if part[:1].isupper()), None)
    return None if at is None else parts[at + 1 :]
