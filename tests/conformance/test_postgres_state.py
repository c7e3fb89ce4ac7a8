import pytest

from capa_core.components.postgres.state import PostgresState
from capa_core.conformance.state import Connect, StateConformance


@pytest.mark.server("postgres")
class TestPostgresState(StateConformance):
    @pytest.fixture
    def connect(self, postgres_url: str, postgres_schema: str) -> Connect:
        settings = {"url": postgres_url, "schema_name": postgres_schema}
        return lambda: PostgresState(PostgresState.settings_type(**settings))
