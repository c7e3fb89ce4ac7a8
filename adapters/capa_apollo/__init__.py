"""Apollo's client side on Capa: decorators, `Config`, and the clients of Python's Apollo packages.

    from capa_apollo import cloud_config, config_change_listener, value

Values come from the configuration block: appId is the application, a namespace is a group, a cluster is a label.
The clients' own modules are folders here, named like those of the originals;
`xhrg` stands for `apollo` and `apollo_client`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from capa_core.lazy import import_when_used as _import_when_used

if TYPE_CHECKING:
    from capa_apollo._sources import disable_apollo_config, enable_apollo_config
    from capa_apollo.client import ApolloClient
    from capa_apollo.cloud import cloud_config
    from capa_apollo.config import (
        Config,
        ConfigChange,
        ConfigChangeEvent,
        PropertyChangeType,
        get_config,
    )
    from capa_apollo.listeners import config_change_listener
    from capa_apollo.settings_source import ApolloSettingsSource, CapaSettingsSource
    from capa_apollo.values import apollo_json_value, inject, value

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

# Imported when first used: a client needs neither the decorators nor pydantic-settings.
_HOMES = {
    "ApolloClient": "capa_apollo.client",
    "ApolloSettingsSource": "capa_apollo.settings_source",
    "CapaSettingsSource": "capa_apollo.settings_source",
    "Config": "capa_apollo.config",
    "ConfigChange": "capa_apollo.config",
    "ConfigChangeEvent": "capa_apollo.config",
    "PropertyChangeType": "capa_apollo.config",
    "apollo_json_value": "capa_apollo.values",
    "cloud_config": "capa_apollo.cloud",
    "config_change_listener": "capa_apollo.listeners",
    "disable_apollo_config": "capa_apollo._sources",
    "enable_apollo_config": "capa_apollo._sources",
    "get_config": "capa_apollo.config",
    "inject": "capa_apollo.values",
    "value": "capa_apollo.values",
}

__getattr__ = _import_when_used(__name__, _HOMES)
