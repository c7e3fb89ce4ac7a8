"""The namespaces that placeholders look through, in order."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from capa_apollo._expressions import resolve
from capa_apollo._space import Namespace, own_space
from capa_core.live import Live, lookup_in, resolve_text

if TYPE_CHECKING:
    from capa_core.runtime import Runtime

DecoratedT = TypeVar("DecoratedT")

LOWEST_PRECEDENCE = 2**31 - 1
DEFAULT_NAMESPACE = "application"

_enabled: list[tuple[int, str, str]] = []
"""Order, appId (`""` for that of `[adapters.apollo]`) and namespace, the strongest first."""
_dependents: weakref.WeakSet[Live[Any]] = weakref.WeakSet()


def enable_apollo_config(
    *namespaces: str | Iterable[str], order: int = LOWEST_PRECEDENCE, app_id: str = ""
) -> Callable[[DecoratedT], DecoratedT]:
    """Enable these namespaces for placeholders, in the order given; also a decorator that changes nothing.

    Args:
        namespaces: Names, or lists of names; none means `application`. A name given again moves to its new order.
        order: Of the namespaces of several calls those with a smaller order win.
        app_id: Whose namespaces; by default that of `[adapters.apollo]`.
    """
    names = [name for each in namespaces for name in ([each] if isinstance(each, str) else each)]
    for name in names or [DEFAULT_NAMESPACE]:
        _enabled[:] = [one for one in _enabled if one[1:] != (app_id, name)]
        _enabled.append((order, app_id, name))
    _enabled.sort(key=lambda one: one[0])
    for live in list(_dependents):
        live.unbind()
    return lambda decorated: decorated


def disable_apollo_config() -> None:
    """Forget the enabled namespaces, so that placeholders look through `application` alone; for tests."""
    _enabled.clear()
    for live in list(_dependents):
        live.unbind()


def resolved(expression: str, finish: Callable[[object], Any], *, shown_by: object = None) -> Live[Any]:
    """Return the live result of *finish* of an expression with placeholders, over all enabled namespaces."""
    live: Live[Any] = Live(
        sources, lambda views: finish(resolve(expression, lookup_in(views))), shown_by=shown_by
    )
    _dependents.add(live)
    return live


def sources(runtime: Runtime) -> list[Namespace]:
    """Return the namespaces that placeholders read in *runtime*."""
    enabled = [(app_id, name) for _, app_id, name in _enabled] or [("", DEFAULT_NAMESPACE)]
    return [Namespace(own_space(runtime, app_id), name) for app_id, name in enabled]


def plain(text: str, runtime: Runtime) -> str:
    """Return *text*, such as the name of a namespace, with its placeholders replaced.

    Raises:
        InvalidArgumentError: A key has neither value nor default.
    """
    if "${" not in text:
        return text
    return resolve_text(text, lookup_in([source.view() for source in sources(runtime)]))
