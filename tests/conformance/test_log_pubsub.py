"""Conformance of a queue over a log, for each log."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from log_queues import MemoryLogPubSub, SqliteLogPubSub

from capa_core.components.memory.log import MemoryLogSettings
from capa_core.components.sqlite.log import SqliteLogSettings
from capa_core.conformance.pubsub import PubSubConformance


class TestMemoryLogPubSub(PubSubConformance):
    @pytest.fixture
    def driver(self) -> Iterator[MemoryLogPubSub]:
        driver = MemoryLogPubSub(MemoryLogSettings())
        yield driver
        driver.close()


class TestSqliteLogPubSub(PubSubConformance):
    @pytest.fixture
    def driver(self, tmp_path: Path) -> Iterator[SqliteLogPubSub]:
        driver = SqliteLogPubSub(SqliteLogSettings(folder=tmp_path))
        yield driver
        driver.close()
