import pytest

from capa_core.components.postgres.schedule import PostgresSchedule
from capa_core.conformance.schedule import LEASE_S, Connect, ScheduleConformance


@pytest.mark.server("postgres")
class TestPostgresSchedule(ScheduleConformance):
    @pytest.fixture
    def connect(self, postgres_url: str, postgres_schema: str) -> Connect:
        settings = {"url": postgres_url, "schema_name": postgres_schema}
        return lambda *, lease_s=LEASE_S: PostgresSchedule(
            PostgresSchedule.settings_type(**settings, lease_s=lease_s)
        )
