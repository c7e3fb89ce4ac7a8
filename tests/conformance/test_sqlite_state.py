from pathlib import Path

import pytest

from capa_core.components.sqlite.state import SqliteState
from capa_core.conformance.state import Connect, StateConformance


class TestSqliteState(StateConformance):
    @pytest.fixture
    def connect(self, tmp_path: Path) -> Connect:
        return lambda: SqliteState(SqliteState.settings_type(folder=tmp_path))
