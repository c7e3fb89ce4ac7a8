"""Configuration in a bucket of NATS KV, over its state."""

from __future__ import annotations

from pydantic import Field

from capa_core.abilities import approximate
from capa_core.blocks.configuration.driver import ConfigurationFeature
from capa_core.blocks.configuration.over_state import ConfigurationOverState
from capa_core.components.nats._settings import PREFIX, NatsSettings
from capa_core.components.nats.state import NatsState
from capa_core.reach import Server, servers_of


class NatsConfigurationSettings(NatsSettings):
    """The addresses of the servers, and the bucket `<prefix>-state`."""

    prefix: str = Field(default="capa-configuration", pattern=PREFIX)


class NatsConfiguration(ConfigurationOverState[NatsConfigurationSettings]):
    """Groups as values of `NatsState`, each written as a whole if its revision is still the one that was read."""

    settings_type = NatsConfigurationSettings
    state_type = NatsState
    _state: NatsState
    in_transactions = False
    features = {
        **ConfigurationOverState.features,
        ConfigurationFeature.HISTORY: approximate(
            "a bucket has no transactions: of writers at the same time, or a killed one, a version may be left out"
        ),
    }

    def has_lost(self, known: str) -> bool:
        """See `ConfigurationDriver.has_lost`: a bucket that was purged is still there, one of a lost disk is not."""
        return self._state.has_lost(known)

    def servers(self) -> list[Server]:
        """See `ConfigurationDriver.servers`."""
        return [one for url in self.settings.servers for one in servers_of(url, 4222)]
