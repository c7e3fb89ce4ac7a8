"""Settings that every adapter has. Imports pydantic, so adapters import this module when they first need settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict

from capa_core.shims._side import Side, check_side

if TYPE_CHECKING:
    from capa_core.runtime import Runtime
    from capa_core.shims._sdk import Sdk


class AdapterSettings(BaseModel):
    """The keys of every `[adapters.<sdk>]` table; an adapter adds its own.

    Attributes:
        side: Who serves the calls: Capa's components (`capa`) or the original's own back half (`legacy`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    side: Side = Side.CAPA


SettingsT = TypeVar("SettingsT", bound=AdapterSettings)


def adapter_settings(runtime: Runtime, sdk: Sdk, model: type[SettingsT]) -> SettingsT:
    """Return the `[adapters.<sdk>]` table as a *model*; its defaults where there is none.

    Raises:
        UnknownNameError: The table has a key that *model* has not.
        SettingsError: A value does not fit.
        UnsupportedError: The side that it names cannot serve this adapter.
    """
    settings = runtime.adapter_settings(sdk.name, model)
    check_side(settings.side, sdk, runtime.loaded.origin("adapters", sdk.name, "side"))
    return settings
