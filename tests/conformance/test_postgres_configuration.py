import threading
from collections.abc import Iterator

import pytest

from capa_core.components.postgres.configuration import PostgresConfiguration, PostgresConfigurationSettings
from capa_core.conformance.configuration import ConfigurationConformance


@pytest.mark.server("postgres")
class TestPostgresConfiguration(ConfigurationConformance):
    @pytest.fixture
    def driver(self, postgres_url: str, postgres_schema: str) -> Iterator[PostgresConfiguration]:
        settings = PostgresConfigurationSettings(url=postgres_url, schema_name=postgres_schema)
        driver = PostgresConfiguration(settings)
        yield driver
        driver.close()

    def threads(self) -> set[threading.Thread]:
        """See `Suite.threads`: each process has one more that listens, and one that sends notices."""
        return {thread for thread in super().threads() if not thread.name.startswith("capa-postgres-")}
