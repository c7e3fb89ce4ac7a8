from collections.abc import Iterator
from pathlib import Path

import pytest

from capa_core.components.file.configuration import FileConfiguration, FileConfigurationSettings
from capa_core.conformance.configuration import ConfigurationConformance


class TestFileConfiguration(ConfigurationConformance):
    @pytest.fixture
    def driver(self, tmp_path: Path) -> Iterator[FileConfiguration]:
        yield FileConfiguration(FileConfigurationSettings(root=tmp_path))
