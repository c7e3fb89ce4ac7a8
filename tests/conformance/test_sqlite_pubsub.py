"""Conformance of SQLite pub/sub."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from capa_core.components.sqlite.pubsub import SqlitePubSub, SqlitePubSubSettings
from capa_core.conformance.pubsub import PubSubConformance


class TestSqlitePubSub(PubSubConformance):
    @pytest.fixture
    def driver(self, tmp_path: Path) -> Iterator[SqlitePubSub]:
        driver = SqlitePubSub(SqlitePubSubSettings(folder=tmp_path, abandoned_s=3))
        yield driver
        driver.close()
