"""The `[adapters.requests]` table of capa.toml as pydantic checks it; imported only where there are settings."""

from __future__ import annotations

from pydantic import NonNegativeFloat

from capa_core.shims.settings import AdapterSettings
from capa_requests._call_defaults import Settings

_DEFAULTS = Settings()


class RequestsSettings(AdapterSettings):
    """The keys of the table; `Settings` describes them."""

    timeout_s: NonNegativeFloat = _DEFAULTS.timeout_s
    longest_s: NonNegativeFloat = _DEFAULTS.longest_s
    share_connections: bool = _DEFAULTS.share_connections
