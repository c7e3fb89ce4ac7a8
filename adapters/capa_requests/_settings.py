"""The `[adapters.requests]` table of capa.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capa_core.shims import PerRuntime, Side
from capa_requests._call_defaults import Settings
from capa_requests._sdk import SDK

if TYPE_CHECKING:
    from capa_core import Runtime


_DEFAULTS = Settings()


def _read(runtime: Runtime) -> Settings:
    # Checking the table costs 100 ms for pydantic's import: no settings, no check.
    if not runtime.configured:
        return _DEFAULTS
    from capa_core.shims.settings import adapter_settings
    from capa_requests._settings_table import RequestsSettings

    table = adapter_settings(runtime, SDK, RequestsSettings)
    return Settings(
        timeout_s=table.timeout_s,
        longest_s=table.longest_s,
        share_connections=table.share_connections,
        is_legacy=table.side is Side.LEGACY,
    )


settings = PerRuntime(_read)
"""Return the settings of the current runtime, read once for each runtime.

Raises:
    UnknownNameError: `[adapters.requests]` has a key that is not in `Settings`.
    SettingsError: A value does not fit.
    UnsupportedError: `side` names one that is not available.
"""
