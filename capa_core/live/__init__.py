"""Live values: attributes, objects and switches that follow configuration without a restart.

    from capa_core.live import configured, switch, value

    @configured("limits.json")
    @dataclass
    class Limits:
        max_connections: int = 10

    class Orders:
        timeout_s: float = value("${orders.timeout:2.5}")

    new_checkout = switch("features.new-checkout")

Reading costs an attribute, without lock or I/O: values are computed when configuration changes. They are bound to the
default runtime at the first read. `capa_core.live.settings_source` is a source for pydantic-settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from capa_core.lazy import import_when_used as _import_when_used

if TYPE_CHECKING:
    from capa_core.live._configured import Configured, configured
    from capa_core.live._convert import convert
    from capa_core.live._live import Live, Source
    from capa_core.live._placeholders import Lookup, lookup_in, resolve_text
    from capa_core.live._switch import Switch, switch
    from capa_core.live._values import Values, inject, json_value, value

__all__ = [
    "Configured",
    "Live",
    "Lookup",
    "Source",
    "Switch",
    "Values",
    "configured",
    "convert",
    "inject",
    "json_value",
    "lookup_in",
    "resolve_text",
    "switch",
    "value",
]

# Imported when first used: a client of an adapter needs neither wrapt nor pydantic.
_HOMES = {
    "Configured": "capa_core.live._configured",
    "Live": "capa_core.live._live",
    "Lookup": "capa_core.live._placeholders",
    "Source": "capa_core.live._live",
    "Switch": "capa_core.live._switch",
    "Values": "capa_core.live._values",
    "configured": "capa_core.live._configured",
    "convert": "capa_core.live._convert",
    "inject": "capa_core.live._values",
    "json_value": "capa_core.live._values",
    "lookup_in": "capa_core.live._placeholders",
    "resolve_text": "capa_core.live._placeholders",
    "switch": "capa_core.live._switch",
    "value": "capa_core.live._values",
}

__getattr__ = _import_when_used(__name__, _HOMES)
