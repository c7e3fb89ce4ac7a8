"""Conformance of PostgreSQL pub/sub."""

from collections.abc import Iterator

import pytest

from capa_core.components.postgres.pubsub import PostgresPubSub
from capa_core.conformance.pubsub import PubSubConformance


@pytest.mark.server("postgres")
class TestPostgresPubSub(PubSubConformance):
    @pytest.fixture
    def driver(self, postgres_url: str, postgres_schema: str) -> Iterator[PostgresPubSub]:
        settings = {"url": postgres_url, "schema_name": postgres_schema, "abandoned_s": 3}
        driver = PostgresPubSub(PostgresPubSub.settings_type(**settings))
        yield driver
        driver.close()
