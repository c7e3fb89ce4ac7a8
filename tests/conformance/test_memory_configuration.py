from collections.abc import Iterator

import pytest

from capa_core.components.memory.configuration import MemoryConfiguration, MemoryConfigurationSettings
from capa_core.conformance.configuration import ConfigurationConformance


class TestMemoryConfiguration(ConfigurationConformance):
    @pytest.fixture
    def driver(self) -> Iterator[MemoryConfiguration]:
        yield MemoryConfiguration(MemoryConfigurationSettings())
