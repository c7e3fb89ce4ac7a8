"""What `[adapters.requests]` of capa.toml sets, and the runtime that holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capa_core import Runtime


@dataclass(frozen=True, slots=True)
class Settings:
    """How calls behave that do not say it themselves.

    Args:
        timeout_s: Within how many seconds a call without `timeout=` ends, body included; 0 for no deadline.
        share_connections: Whether `capa_requests.get` and the like keep connections open for the next call.
    """

    timeout_s: float = 60.0
    share_connections: bool = True


_DEFAULTS = Settings()
_known: tuple[Runtime, Settings] | None = None


def runtime() -> Runtime:
    """Return the process's runtime; `capa_core` is imported by the first request, not with this package."""
    from capa_core.runtime import default_runtime

    return default_runtime()


def settings() -> Settings:
    """Return the settings of the present runtime, read once for each runtime.

    Raises:
        UnknownNameError: `[adapters.requests]` has a key that is not in `Settings`.
        SettingsError: A value does not fit.
    """
    global _known  # noqa: PLW0603 - one for the process
    present = runtime()
    if _known is None or _known[0] is not present:
        _known = (present, _read(present))
    return _known[1]


def _read(present: Runtime) -> Settings:
    # Checking the table costs 100 ms for pydantic's import: no settings, no check.
    if not present.configured:
        return _DEFAULTS
    from pydantic import BaseModel, ConfigDict, NonNegativeFloat

    class Table(BaseModel):
        model_config = ConfigDict(extra="forbid")

        timeout_s: NonNegativeFloat = _DEFAULTS.timeout_s
        share_connections: bool = _DEFAULTS.share_connections

    table = present.adapter_settings("requests", Table)
    return Settings(**table.model_dump())
