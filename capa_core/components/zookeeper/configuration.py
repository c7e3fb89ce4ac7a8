"""Configuration in ZooKeeper, over its state."""

from __future__ import annotations

from capa_core.blocks.configuration.over_state import ConfigurationOverState
from capa_core.components.zookeeper.state import ZookeeperState, ZookeeperStateSettings
from capa_core.reach import Server, servers_of


class ZookeeperConfigurationSettings(ZookeeperStateSettings):
    """The servers of the ensemble, and the folder of the nodes."""

    prefix: str = "/capa/configuration"


class ZookeeperConfiguration(ConfigurationOverState[ZookeeperConfigurationSettings]):
    """Groups as values of `ZookeeperState`, with the keys `group/<application>/<group>/<label>`."""

    settings_type = ZookeeperConfigurationSettings
    state_type = ZookeeperState

    def servers(self) -> list[Server]:
        """See `ConfigurationDriver.servers`: kazoo tries one after the other for as long as a call may take."""
        return servers_of(self.settings.hosts, 2181)
