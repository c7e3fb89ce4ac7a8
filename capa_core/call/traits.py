"""Traits of portable classes and their methods that async code depends on, declared where the method is written.

`capa_core.aio` reads them at run time, and its type stub is generated from them: neither has a list of methods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
ClassT = TypeVar("ClassT", bound=type)

_TRAITS = "__capa_traits__"
_BLOCKING = "__capa_blocking__"


@dataclass(frozen=True, slots=True)
class CallTraits:
    """Traits of one method; a method without a declaration has the defaults.

    Attributes:
        waits: It waits for an event (a write, a message, a release, a service), not only for the engine's answer.
        immediate: It neither waits nor does any I/O: async code calls it directly.
        opens: It returns a blocking object that must be closed: async code may use the call in `async with`.
        handler: The parameter for a function to be called later.
        undo: The method of the same object that undoes a result which arrived after the caller was cancelled. An
            object that a call opened is closed without it.
    """

    waits: bool = False
    immediate: bool = False
    opens: bool = False
    handler: str = ""
    undo: str = ""


_PLAIN = CallTraits()


def call_traits(
    *, waits: bool = False, immediate: bool = False, opens: bool = False, handler: str = "", undo: str = ""
) -> Callable[[FunctionT], FunctionT]:
    """Return a decorator that declares the `CallTraits` of a method; methods that override it inherit them."""
    traits = CallTraits(waits, immediate, opens, handler, undo)

    def declare(function: FunctionT) -> FunctionT:
        vars(function)[_TRAITS] = traits
        return function

    return declare


def traits_of(owner: type, method: str) -> CallTraits:
    """Return the traits of *method*, as the first class in the resolution order of *owner* declares them."""
    for base in owner.__mro__:
        found = getattr(vars(base).get(method), _TRAITS, None)
        if found is not None:
            return found  # type: ignore[no-any-return]
    return _PLAIN


def blocking(name: str = "") -> Callable[[ClassT], ClassT]:
    """Return a decorator for a class whose methods may block, so that async code uses it through a facade.

    Args:
        name: The name of the facade in `capa_core.aio`; `""` for that of the class.
    """

    def declare(owner: ClassT) -> ClassT:
        setattr(owner, _BLOCKING, name)
        return owner

    return declare


def facade_name(owner: type) -> str:
    """Return the name of the facade for *owner* in `capa_core.aio`, or `""` if its methods do not block."""
    name = getattr(owner, _BLOCKING, None)
    return "" if name is None else name or owner.__name__
