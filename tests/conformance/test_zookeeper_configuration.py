import threading
from collections.abc import Iterator

import pytest

from capa_core.components.zookeeper.configuration import (
    ZookeeperConfiguration,
    ZookeeperConfigurationSettings,
)
from capa_core.conformance.configuration import ConfigurationConformance


@pytest.mark.server("zookeeper")
class TestZookeeperConfiguration(ConfigurationConformance):
    @pytest.fixture
    def driver(self, zookeeper_settings: dict[str, str]) -> Iterator[ZookeeperConfiguration]:
        driver = ZookeeperConfiguration(ZookeeperConfigurationSettings(**zookeeper_settings))
        yield driver
        driver.close()

    def threads(self) -> set[threading.Thread]:
        """See `Suite.threads`: each session of kazoo has some."""
        kazoos = ("(_thread_worker)", "(zk_loop)")
        return {thread for thread in super().threads() if not thread.name.endswith(kazoos)}
