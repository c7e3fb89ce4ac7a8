"""The `[adapters.requests]` table of capa.toml."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from capa_core.shims import PerRuntime, Side
from capa_requests._sdk import SDK

if TYPE_CHECKING:
    from capa_core import Runtime


@dataclass(frozen=True, slots=True)
class Settings:
    """Defaults of calls that do not set them.

    Args:
        timeout_s: Within how many seconds a call without `timeout=` ends, body included; 0 for no deadline.
        share_connections: Whether `capa_requests.get` and the like keep connections open for the next call.
        is_legacy: Whether the original serves all calls: without services, default deadline and fast paths.
    """

    timeout_s: float = 60.0
    share_connections: bool = True
    is_legacy: bool = False


_DEFAULTS = Settings()


def _read(runtime: Runtime) -> Settings:
    # Checking the table costs 100 ms for pydantic's import: no settings, no check.
    if not runtime.configured:
        return _DEFAULTS
    from pydantic import NonNegativeFloat

    from capa_core.shims.settings import AdapterSettings, adapter_settings

    class Table(AdapterSettings):
        timeout_s: NonNegativeFloat = _DEFAULTS.timeout_s
        share_connections: bool = _DEFAULTS.share_connections

    table = adapter_settings(runtime, SDK, Table)
    return Settings(table.timeout_s, table.share_connections, is_legacy=table.side is Side.LEGACY)


settings = PerRuntime(_read)
"""Return the settings of the current runtime, read once for each runtime.

Raises:
    UnknownNameError: `[adapters.requests]` has a key that is not in `Settings`.
    SettingsError: A value does not fit.
    UnsupportedError: `side` names one that is not available.
"""
