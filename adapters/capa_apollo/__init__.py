"""Apollo's client side on Capa: decorators, `Config`, and the clients of Python's Apollo packages.

    from capa_apollo import cloud_config, config_change_listener, value

Values come from the configuration block: appId is the application, a namespace is a group, a cluster is a label.
The clients' own modules are `capa_apollo.pyapollo`, `capa_apollo.xhrg` and `capa_apollo.py3_apollo`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from capa_apollo._sources import disable_apollo_config, enable_apollo_config
from capa_apollo.cloud import cloud_config
from capa_apollo.config import (
    Config,
    ConfigChange,
    ConfigChangeEvent,
    PropertyChangeType,
    get_config,
)
from capa_apollo.listeners import config_change_listener
from capa_apollo.values import apollo_json_value, inject, value

if TYPE_CHECKING:
    from capa_apollo.client import ApolloClient
    from capa_apollo.settings_source import ApolloSettingsSource, CapaSettingsSource

__all__ = [
    "ApolloClient",
    "ApolloSettingsSource",
    "CapaSettingsSource",
    "Config",
    "ConfigChange",
    "ConfigChangeEvent",
    "PropertyChangeType",
    "apollo_json_value",
    "cloud_config",
    "config_change_listener",
    "disable_apollo_config",
    "enable_apollo_config",
    "get_config",
    "inject",
    "value",
]

# Imported when first used: pydantic-settings alone costs as much as everything above.
_HOMES = {
    "ApolloClient": "capa_apollo.client",
    "ApolloSettingsSource": "capa_apollo.settings_source",
    "CapaSettingsSource": "capa_apollo.settings_source",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'capa_apollo' has no attribute {name!r}")
    found = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found
