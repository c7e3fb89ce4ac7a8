import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from capa_core.components.sqlite.configuration import SqliteConfiguration
from capa_core.conformance.configuration import ConfigurationConformance


class TestSqliteConfiguration(ConfigurationConformance):
    @pytest.fixture
    def driver(self, tmp_path: Path) -> Iterator[SqliteConfiguration]:
        driver = SqliteConfiguration(SqliteConfiguration.settings_type(folder=tmp_path))
        yield driver
        driver.close()

    def threads(self) -> set[threading.Thread]:
        """See `Suite.threads`: each file has one more that writes, and one that is woken by other processes."""
        return {thread for thread in super().threads() if not thread.name.startswith("capa-sqlite-")}
