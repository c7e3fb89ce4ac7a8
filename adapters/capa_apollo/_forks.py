"""Locks across a fork: one that a thread of the parent held stays held for ever in the child, so that gets new ones."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class HasLocks(Protocol):
    """What makes its locks in a method of their own."""

    def make_locks(self) -> None:
        """Make all locks, in `__init__` and again in a forked child."""


_alive: weakref.WeakSet[HasLocks] = weakref.WeakSet()


def lock_anew(one: HasLocks) -> None:
    """Make the locks of *one*, now and in each forked child."""
    one.make_locks()
    _alive.add(one)


def _after_fork() -> None:
    for one in list(_alive):
        one.make_locks()


os.register_at_fork(after_in_child=_after_fork)
