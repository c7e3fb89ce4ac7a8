from pathlib import Path

import pytest

from capa_core.components.sqlite.lock import SqliteLock
from capa_core.conformance.lock import Connect, LockConformance


class TestSqliteLock(LockConformance):
    @pytest.fixture
    def connect(self, tmp_path: Path) -> Connect:
        return lambda: SqliteLock(SqliteLock.settings_type(folder=tmp_path))
