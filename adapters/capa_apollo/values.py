"""`value`, `apollo_json_value` and `inject`: values of the enabled namespaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from capa_apollo._sources import resolved
from capa_core.live import Live, Values, inject

__all__ = ["apollo_json_value", "inject", "value"]


class _OfNamespaces(Values):
    """Values of all enabled namespaces, of expressions as Spring has them."""

    def live(self, expression: str, finish: Callable[[object], Any], *, shown_by: object = None) -> Live[Any]:
        return resolved(expression, finish, shown_by=shown_by)


value = _OfNamespaces().value
apollo_json_value = _OfNamespaces().json_value
