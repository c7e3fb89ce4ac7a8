"""Configuration in one SQLite file, over its state: values that programs of one machine write and share."""

from __future__ import annotations

from capa_core.abilities import How, Support
from capa_core.blocks.configuration.driver import ConfigurationFeature
from capa_core.blocks.configuration.over_state import ConfigurationOverState
from capa_core.components.sqlite._driver import SqliteSettings
from capa_core.components.sqlite.state import SqliteState


class _ConfigurationFile(SqliteState):
    """State in a file of its own."""

    block = "configuration"


class SqliteConfiguration(ConfigurationOverState[SqliteSettings]):
    """Groups as values of `SqliteState` in `<folder>/configuration.db`."""

    settings_type = SqliteSettings
    state_type = _ConfigurationFile
    features = {
        **ConfigurationOverState.features,
        ConfigurationFeature.LAST_KNOWN_GOOD: Support(How.NATIVE, "the file is on this machine"),
    }
