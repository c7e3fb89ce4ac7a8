import threading
from collections.abc import Iterator

import pytest
from servers.nacos import THREADS, NacosServer

from capa_core.components.nacos.configuration import NacosConfiguration
from capa_core.conformance.configuration import ConfigurationConformance


@pytest.mark.server("nacos")
class TestNacosConfiguration(ConfigurationConformance):
    """On the Nacos test server, which is one of our own."""

    @pytest.fixture
    def driver(self, nacos: NacosServer) -> Iterator[NacosConfiguration]:
        driver = NacosConfiguration(NacosConfiguration.settings_type(url=nacos.url))
        yield driver
        driver.close()

    def threads(self) -> set[threading.Thread]:
        """See `Suite.threads`: the server is in this process."""
        return {thread for thread in super().threads() if thread.name != THREADS}
