"""The namespaces that placeholders look through, in order."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from capa_apollo._live import Live
from capa_apollo._placeholders import resolve, resolve_text
from capa_apollo._space import Space, own_space

if TYPE_CHECKING:
    from capa_core.blocks.configuration import ConfigurationView
    from capa_core.runtime import Runtime

DecoratedT = TypeVar("DecoratedT")

LOWEST_PRECEDENCE = 2**31 - 1
DEFAULT_NAMESPACE = "application"

_enabled: list[tuple[int, str]] = []
_dependents: weakref.WeakSet[Live[Any]] = weakref.WeakSet()


def enable_apollo_config(
    *namespaces: str | Iterable[str], order: int = LOWEST_PRECEDENCE
) -> Callable[[DecoratedT], DecoratedT]:
    """Enable these namespaces for placeholders, in the order given; also a decorator that changes nothing.

    Args:
        namespaces: Names, or lists of names; none means `application`. A name given again moves to its new order.
        order: Of the namespaces of several calls those with a smaller order win.
    """
    names = [name for each in namespaces for name in ([each] if isinstance(each, str) else each)]
    for name in names or [DEFAULT_NAMESPACE]:
        _enabled[:] = [one for one in _enabled if one[1] != name]
        _enabled.append((order, name))
    _enabled.sort(key=lambda one: one[0])
    for live in list(_dependents):
        live.unbind()
    return lambda decorated: decorated


def disable_apollo_config() -> None:
    """Forget the enabled namespaces, so that placeholders look through `application` alone; for tests."""
    _enabled.clear()
    for live in list(_dependents):
        live.unbind()


def enabled_namespaces() -> list[str]:
    """Return the namespaces that placeholders look through, the strongest first."""
    return [name for _, name in _enabled] or [DEFAULT_NAMESPACE]


class Resolved(Live[Any]):
    """The value of an expression with placeholders, converted, over all enabled namespaces."""

    def __init__(self, expression: str, finish: Callable[[object], Any]) -> None:
        super().__init__(inputs, lambda views: finish(resolve(expression, lookup_in(views))))
        _dependents.add(self)


def inputs(runtime: Runtime) -> list[tuple[Space, str]]:
    """Return the spaces and namespaces that placeholders read in *runtime*."""
    space = own_space(runtime)
    return [(space, name) for name in enabled_namespaces()]


def lookup_in(views: Sequence[ConfigurationView]) -> Callable[[str], str | None]:
    """Return a function from key to text over views, the strongest first."""

    def lookup(key: str) -> str | None:
        return next((text for view in views if (text := view.get(key)) is not None), None)

    return lookup


def plain(text: str, runtime: Runtime) -> str:
    """Return *text*, such as the name of a namespace, with its placeholders replaced.

    Raises:
        InvalidArgumentError: A key has neither value nor default.
    """
    if "${" not in text:
        return text
    return resolve_text(text, lookup_in([space.view(name) for space, name in inputs(runtime)]))
