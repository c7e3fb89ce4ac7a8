from pathlib import Path

import pytest

from capa_core.components.sqlite.database import SqliteDatabase
from capa_core.conformance.database import Connect, DatabaseConformance


class TestSqliteDatabase(DatabaseConformance):
    @pytest.fixture
    def connect(self, tmp_path: Path) -> Connect:
        return lambda **settings: SqliteDatabase(SqliteDatabase.settings_type(folder=tmp_path, **settings))
