"""Coordination with forks: a fork waits for first uses, and for engines that must be idle; locks are renewed.

The first use of a component imports and builds it. A child forked during that would wait forever for an import, or
a lock, of a thread that it does not have.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, overload

T = TypeVar("T")

first_use = threading.RLock()
"""Held during first uses and during a fork. Acquire it before any other lock."""

_Pause = tuple[Callable[[], None], Callable[[bool], None]]
_pauses: list[_Pause] = []
_paused: list[_Pause] = []


def pause_during_fork(begin: Callable[[], None], end: Callable[[bool], None]) -> None:
    """Call *begin* before each fork, and *end* after it with whether this is the child.

    Unlike `os.register_at_fork`, this also covers a fork that is already waiting for the import of the caller's module.
    """
    _pauses.append((begin, end))


def _before() -> None:
    first_use.acquire()
    for pause in tuple(_pauses):
        pause[0]()
        _paused.append(pause)


def _after(*, in_child: bool) -> None:
    while _paused:
        _paused.pop()[1](in_child)
    first_use.release()


class computed_once(Generic[T]):  # noqa: N801 - used like `functools.cached_property`, which has a lock of its own
    """A property that is computed at the first read, under `first_use`, and is a plain attribute from then on."""

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function = function
        self._name = function.__name__
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> computed_once[T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> computed_once[T] | T:
        if instance is None:
            return self
        with first_use:
            known = vars(instance)
            if self._name not in known:
                known[self._name] = self._function(instance)
            found: T = known[self._name]
            return found


class HasLocks(Protocol):
    """An object that makes its locks in a method."""

    def make_locks(self) -> None:
        """Make all locks, in `__init__` and again in a forked child."""


_with_locks: weakref.WeakSet[HasLocks] = weakref.WeakSet()


def renew_locks_after_fork(one: HasLocks) -> None:
    """Make the locks of *one*, now and in each forked child, where a lock that another thread held would stay held."""
    one.make_locks()
    _with_locks.add(one)


def _renew_locks() -> None:
    for one in list(_with_locks):
        one.make_locks()


os.register_at_fork(after_in_child=_renew_locks)
os.register_at_fork(
    before=_before,
    after_in_parent=lambda: _after(in_child=False),
    after_in_child=lambda: _after(in_child=True),
)
