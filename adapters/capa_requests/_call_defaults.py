"""Defaults of calls, without the check of the table that sets them."""

from __future__ import annotations

from dataclasses import dataclass


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
