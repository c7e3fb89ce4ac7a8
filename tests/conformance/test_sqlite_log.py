"""Conformance of the SQLite log."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from capa_core.components.sqlite.log import SqliteLog, SqliteLogSettings
from capa_core.conformance.log import LogConformance


class TestSqliteLog(LogConformance):
    @pytest.fixture
    def driver(self, tmp_path: Path) -> Iterator[SqliteLog]:
        driver = SqliteLog(SqliteLogSettings(folder=tmp_path))
        yield driver
        driver.close()
