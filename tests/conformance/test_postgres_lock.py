import pytest

from capa_core.components.postgres.lock import PostgresLock
from capa_core.conformance.lock import Connect, LockConformance


@pytest.mark.server("postgres")
class TestPostgresLock(LockConformance):
    @pytest.fixture
    def connect(self, postgres_url: str, postgres_schema: str) -> Connect:
        settings = {"url": postgres_url, "schema_name": postgres_schema}
        return lambda: PostgresLock(PostgresLock.settings_type(**settings))
