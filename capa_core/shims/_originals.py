"""Snapshots of the original's functions at the import of the adapter, compared with the present ones.

Mock libraries, instrumentation and applications replace functions of an SDK. A shorter way that an adapter takes would
skip some of those functions, so it first asks whether everything that it is about to skip is unchanged, and
else lets the original run.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, ParamSpec, TypeVar

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class AttributeSnapshot:
    """Some attributes of some modules and classes, as they were when it was taken."""

    def __init__(self, *places: tuple[object, str], when: bool = True) -> None:
        """Take the attributes of *places*: pairs of an owner and names in it, separated by spaces (two at least).

        Args:
            when: Whether the installed original is one whose functions the shorter way stands in for; else they count
                as changed, and are not looked up.
        """
        self._places: list[tuple[object, Callable[[object], object], object]] = []
        if not when:
            self._places.append((None, lambda _: False, True))
            return
        for owner, names in places:
            read = attrgetter(*names.split())
            self._places.append((owner, read, read(owner)))

    def unchanged(self) -> bool:
        """Return whether every attribute is still the same object."""
        for owner, read, remembered in self._places:  # noqa: SIM110 - a generator costs more than the loop
            if read(owner) != remembered:
                return False
        return True


class MethodSnapshot:
    """Some methods of a class of the original, compared with those that an instance would really call."""

    def __init__(self, owner: type, names: str, *, when: bool = True) -> None:
        """Take the methods *names* (separated by spaces, two at least) of *owner*; *when* as for attributes."""
        self._read: Callable[[object], object] = attrgetter(*names.split()) if when else lambda _: object()
        self._remembered = self._read(owner)
        self._names = frozenset(names.split())

    def inherited_by(self, instance: object) -> bool:
        """Return whether *instance* has these methods: no subclass, patch or attribute changes one."""
        same: bool = self._read(type(instance)) == self._remembered
        return same and self._names.isdisjoint(vars(instance))


def with_signature_of(
    original: Callable[_Arguments, _Result],
) -> Callable[[Callable[..., _Result]], Callable[_Arguments, _Result]]:
    """Give the signature of *original* to a method that takes any arguments.

    Such a method can pass a call on unchanged: a replacement for a method of the original takes the arguments of its
    calls, and not always all that the original accepts.
    """

    def declared(ours: Callable[..., _Result]) -> Callable[_Arguments, _Result]:
        import inspect

        signature: Any = inspect.signature(original)
        ours.__signature__ = signature  # type: ignore[attr-defined]
        return ours

    return declared
