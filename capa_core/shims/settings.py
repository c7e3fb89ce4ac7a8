"""Settings that every adapter has. Imports pydantic, so adapters import this module when they first need settings."""

from __future__ import annotations

from importlib import import_module
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, PlainValidator

from capa_core.shims._side import Side, check_side

if TYPE_CHECKING:
    from capa_core.runtime import Runtime
    from capa_core.shims._sdk import Sdk


def _as_side(value: Any) -> str:
    """Return *value* as a `Side`, or as text if it is none: `check_side` names it in the error."""
    text = str(value)
    return Side(text) if text in set(Side) else text


class AdapterSettings(BaseModel):
    """The keys of every `[adapters.<sdk>]` table; an adapter adds its own.

    Attributes:
        side: Which side serves the calls: Capa's components (`capa`) or the original's own back half (`legacy`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    side: Annotated[str, PlainValidator(_as_side)] = Side.CAPA


SettingsT = TypeVar("SettingsT", bound=AdapterSettings)


def adapter_settings(runtime: Runtime, sdk: Sdk, model: type[SettingsT]) -> SettingsT:
    """Return the `[adapters.<sdk>]` table as a *model*; its defaults where there is none.

    Raises:
        UnknownNameError: The table has a key that *model* does not have.
        SettingsError: A value is invalid.
        UnsupportedError: The side that it names cannot serve this adapter.
    """
    settings = runtime.adapter_settings(sdk.name, model)
    check_side(settings.side, sdk, runtime.loaded.origin("adapters", sdk.name, "side"))
    return settings


def check_adapter(runtime: Runtime, package: str) -> None:
    """Check the table of the adapter *package* as its first call does; imports the adapter.

    Raises:
        MissingExtraError: The original is not installed, or in a version that is not supported.
        UnknownNameError: As for `adapter_settings`.
        SettingsError: As for `adapter_settings`.
        UnsupportedError: As for `adapter_settings`.
    """
    sdk: Sdk = import_module(f"{package}._sdk").SDK
    adapter_settings(runtime, sdk, settings_type(package))


def settings_type(package: str) -> type[AdapterSettings]:
    """Return the model of the table of the adapter *package*; imports the adapter.

    Raises:
        MissingExtraError: The original is not installed, or in a version that is not supported.
    """
    sdk: Sdk = import_module(f"{package}._sdk").SDK
    found: type[AdapterSettings] = resolve_name(sdk.settings)
    return found
