from collections.abc import Iterator

import psycopg
import pytest

from capa_core.components.postgres.database import PostgresDatabase
from capa_core.conformance.database import Connect, DatabaseConformance


@pytest.mark.server("postgres")
class TestPostgresDatabase(DatabaseConformance):
    @pytest.fixture
    def connect(self, postgres_url: str, postgres_schema: str) -> Iterator[Connect]:
        url = f"{postgres_url}?options=-csearch_path%3D{postgres_schema}"
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {postgres_schema}")
            yield lambda **settings: PostgresDatabase(PostgresDatabase.settings_type(url=url, **settings))
            connection.execute(f"DROP SCHEMA {postgres_schema} CASCADE")
