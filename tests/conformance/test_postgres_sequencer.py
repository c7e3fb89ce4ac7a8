import pytest

from capa_core.components.postgres.sequencer import PostgresSequencer
from capa_core.conformance.sequencer import Connect, SequencerConformance


@pytest.mark.server("postgres")
class TestPostgresSequencer(SequencerConformance):
    @pytest.fixture
    def connect(self, postgres_url: str, postgres_schema: str) -> Connect:
        settings = {"url": postgres_url, "schema_name": postgres_schema}
        return lambda: PostgresSequencer(PostgresSequencer.settings_type(**settings))
