"""Configuration in Redis, over its state."""

from __future__ import annotations

from capa_core.blocks.configuration.over_state import ConfigurationOverState
from capa_core.components.redis.state import RedisState, RedisStateSettings


class RedisConfigurationSettings(RedisStateSettings):
    """The address of the server, and the prefix of its keys, whose hash tag keeps them on one node of a cluster."""

    prefix: str = "{capa:configuration}:"


class RedisConfiguration(ConfigurationOverState[RedisConfigurationSettings]):
    """Groups as values of `RedisState`, at `<prefix>group/<application>/<group>/<label>`."""

    settings_type = RedisConfigurationSettings
    state_type = RedisState
