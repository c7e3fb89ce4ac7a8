from collections.abc import Iterator

import pytest

from capa_core.components.etcd.configuration import EtcdConfiguration, EtcdConfigurationSettings
from capa_core.conformance.configuration import ConfigurationConformance


@pytest.mark.server("etcd")
class TestEtcdConfiguration(ConfigurationConformance):
    @pytest.fixture
    def driver(self, etcd_settings: dict[str, str]) -> Iterator[EtcdConfiguration]:
        driver = EtcdConfiguration(EtcdConfigurationSettings(**etcd_settings))
        yield driver
        driver.close()
