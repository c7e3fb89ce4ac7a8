from pathlib import Path

import pytest

from capa_core.components.sqlite.schedule import SqliteSchedule, SqliteScheduleSettings
from capa_core.conformance.schedule import LEASE_S, Connect, ScheduleConformance


class TestSqliteSchedule(ScheduleConformance):
    @pytest.fixture
    def connect(self, tmp_path: Path) -> Connect:
        return lambda *, lease_s=LEASE_S: SqliteSchedule(
            SqliteScheduleSettings(folder=tmp_path, lease_s=lease_s)
        )
