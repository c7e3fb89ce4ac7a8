"""Configuration in etcd, over its state."""

from __future__ import annotations

from capa_core.blocks.configuration.over_state import ConfigurationOverState
from capa_core.components.etcd.state import EtcdState, EtcdStateSettings
from capa_core.reach import Server, http_port, servers_of


class EtcdConfigurationSettings(EtcdStateSettings):
    """The members of the cluster, and the prefix of the keys."""

    prefix: str = "capa/configuration/"


class EtcdConfiguration(ConfigurationOverState[EtcdConfigurationSettings]):
    """Groups as values of `EtcdState`, at `<prefix>group/<application>/<group>/<label>`."""

    settings_type = EtcdConfigurationSettings
    state_type = EtcdState
    _state: EtcdState

    def has_lost(self, known: str) -> bool:
        """See `ConfigurationDriver.has_lost`: revisions only grow, and begin at 1 in a cluster that is made anew."""
        return self._state.has_lost(known)

    def servers(self) -> list[Server]:
        """See `ConfigurationDriver.servers`."""
        return [one for url in self.settings.url for one in servers_of(url, http_port(url))]
