"""The ids that were moved: by them a message that comes again is not published again.

The target itself knows them best, since it decides together with storing the message. A state component notes them
after that: a bridge that is killed in between publishes what was in flight once more. Without either, this process
remembers them.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from capa_core.errors import DeadlineError, ExhaustedError, UnavailableError

if TYPE_CHECKING:
    from capa_core import PubSub, State

_MOST_REMEMBERED = 100_000


class KnownIds(Protocol):
    """Ids that were moved within a window."""

    once_s: float
    """The `once_within` of each message; 0 where the target is not asked."""
    note: str
    """The remover of duplicates, and those that it leaves, for people."""

    def among(self, ids: Collection[str]) -> set[str]:
        """Return those of *ids* that were moved."""

    def add(self, ids: Iterable[str]) -> None:
        """Note that *ids* were moved."""


def known_ids(target: PubSub, state: State | None, window_s: float, mark: str) -> KnownIds:
    """Return what knows the ids that were moved to the topic with *mark* of *target*.

    Args:
        state: Used where *target* cannot tell.
    """
    once_s = min(window_s, target.limits.max_once_s)
    if once_s:
        return _KnownByTarget(once_s)
    if state is not None and window_s:
        return _KnownByState(state, window_s, mark)
    return _KnownHere(window_s)


class _KnownByTarget:
    def __init__(self, once_s: float) -> None:
        self.once_s = once_s
        self.note = f"the target removes duplicates by id within {once_s:g} s"

    def among(self, ids: Collection[str]) -> set[str]:
        del ids
        return set()

    def add(self, ids: Iterable[str]) -> None:
        del ids


class _KnownByState:
    once_s = 0.0

    def __init__(self, state: State, window_s: float, mark: str) -> None:
        self._state = state
        self._window_s = window_s
        self._mark = mark
        self._here = _KnownHere(window_s)
        self.note = (
            f"state {state.name} removes duplicates by id within {window_s:g} s; what is in flight at a"
            " kill may come twice"
        )

    def among(self, ids: Collection[str]) -> set[str]:
        keys = {self._key(ident): ident for ident in ids}
        return {keys[key] for key in self._state.get_many(keys)} | self._here.among(ids)

    def add(self, ids: Iterable[str]) -> None:
        moved = list(ids)
        self._here.add(moved)
        # These are published: an error would have them published again. The next question tells that it is away.
        with suppress(UnavailableError, DeadlineError, ExhaustedError):
            self._state.put_many({self._key(ident): b"" for ident in moved}, ttl=self._window_s)

    def _key(self, ident: str) -> str:
        # An id may be longer than a key, and hold what a key cannot.
        digest = hashlib.sha256(ident.encode("utf-8", "surrogatepass")).hexdigest()
        return f"capa-bridge:{self._mark}:{digest[:32]}"


class _KnownHere:
    once_s = 0.0

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._until: OrderedDict[str, float] = OrderedDict()
        self.note = "what is in flight at a kill may come twice"
        if window_s:
            self.note += ": the target does not know ids again, and no state component is given"

    def among(self, ids: Collection[str]) -> set[str]:
        now = time.monotonic()
        return {ident for ident in ids if self._until.get(ident, 0.0) > now}

    def add(self, ids: Iterable[str]) -> None:
        for ident in ids:
            self._until[ident] = time.monotonic() + self._window_s
            self._until.move_to_end(ident)
        while len(self._until) > _MOST_REMEMBERED:
            self._until.popitem(last=False)
