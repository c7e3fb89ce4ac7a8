"""Locks across a fork: a lock that a thread of the parent held would stay held in the child, so it gets new ones."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class HasLocks(Protocol):
    """An object that makes its locks in a method."""

    def make_locks(self) -> None:
        """Make all locks, in `__init__` and again in a forked child."""


_alive: weakref.WeakSet[HasLocks] = weakref.WeakSet()


def renew_locks_after_fork(one: HasLocks) -> None:
    """Make the locks of *one*, now and in each forked child."""
    one.make_locks()
    _alive.add(one)


def _after_fork() -> None:
    for one in list(_alive):
        one.make_locks()


os.register_at_fork(after_in_child=_after_fork)
