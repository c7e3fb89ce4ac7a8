import threading
from collections.abc import Iterator
from uuid import uuid4

import pytest

from capa_core.components.nats.configuration import NatsConfiguration, NatsConfigurationSettings
from capa_core.conformance.configuration import ConfigurationConformance


@pytest.mark.server("nats")
class TestNatsConfiguration(ConfigurationConformance):
    @pytest.fixture
    def driver(self, nats_url: str) -> Iterator[NatsConfiguration]:
        driver = NatsConfiguration(NatsConfigurationSettings(url=nats_url, prefix=uuid4().hex))
        yield driver
        driver.close()

    def threads(self) -> set[threading.Thread]:
        """See `Suite.threads`: the connection has one."""
        return {thread for thread in super().threads() if not thread.name.startswith("capa-nats")}
