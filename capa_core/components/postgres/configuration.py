"""Configuration in a PostgreSQL database, over its state."""

from __future__ import annotations

from capa_core.blocks.configuration.over_state import ConfigurationOverState
from capa_core.components.postgres._settings import PostgresSettings
from capa_core.components.postgres.state import PostgresState


class PostgresConfigurationSettings(PostgresSettings):
    """The address of the server, and the schema, which is none of the block `state`: it has the same tables."""

    schema_name: str = "capa_configuration"


class PostgresConfiguration(ConfigurationOverState[PostgresConfigurationSettings]):
    """Groups as values of `PostgresState`, with the keys `group/<application>/<group>/<label>`."""

    settings_type = PostgresConfigurationSettings
    state_type = PostgresState
