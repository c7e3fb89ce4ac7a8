"""One connection of a component with tables of its own, in the schema that the settings name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from typing import Any, Self

import psycopg
from psycopg import Pipeline
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from capa_core.components.postgres._errors import check_version, on_connecting
from capa_core.components.postgres._settings import PostgresSettings
from capa_core.components.postgres._timed import Row, TimedConnection

LARGEST_IN_PIPELINE = 1024**2
"""Bytes that requests in a pipeline may have: psycopg did not get 64 MiB through one within a minute."""

# A prepared statement keeps its plan. One that was made while a table was empty read all of it, and did so beside a
# backlog too, until the server's next ANALYZE. The costs that stand for "off" would call for compilations (jit).
_BY_INDEX = "SET enable_seqscan = off; SET jit = off"
# Nobody needs a notice on the disk.
_NOTIFY = """
WITH lazily AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true))
SELECT pg_notify(%(channel)s, subject) FROM lazily, unnest(%(subjects)s::text[]) AS subject
"""


class Connection(TimedConnection):
    """A connection in autocommit mode. Used by one thread at a time."""

    is_pooled = False
    """Whether a pooler gives each of its transactions another connection to the server."""
    _settings = PostgresSettings()

    @classmethod
    def open(cls, settings: PostgresSettings) -> Self:
        """Connect.

        Raises:
            psycopg.OperationalError: No host accepted the connection.
        """
        given = conninfo_to_dict(settings.url)
        options: dict[str, Any] = {"application_name": "capa", "target_session_attrs": "read-write"} | given
        # libpq counts whole seconds, for each of the hosts.
        options["connect_timeout"] = max(1, round(settings.timeout_s))
        try:
            connection = cls.connect(autocommit=True, **options)
        except psycopg.OperationalError as error:
            raise on_connecting(error, settings.url) from error
        try:
            connection._begin_session(settings)
        except BaseException:
            connection.close()
            raise
        return connection

    def _begin_session(self, settings: PostgresSettings) -> None:
        self._settings = settings
        self.limit_s, self.limit_name = settings.timeout_s, "timeout_s"
        check_version(self.info.server_version, f"{self.info.host}:{self.info.port}")
        self.begin(settings.timeout_s)
        self.is_pooled = is_pooled(self, settings.pooler)
        if self.is_pooled:
            self.prepare_threshold = None
        else:  # not among the options of connecting, which a pooler refuses
            self.execute(f"SET statement_timeout = {_limit_ms(settings)}; {_BY_INDEX}")

    @property
    def schema(self) -> str:
        """The schema of the tables."""
        return self._settings.schema_name

    @contextmanager
    def pipeline(self) -> Iterator[Pipeline]:
        """See `psycopg.Connection.pipeline`, which does not hear of an error here.

        Where the connection is lost it would log a warning that it cannot end, beside the error that its caller gets.
        """
        failure: psycopg.Error | None = None
        try:
            with super().pipeline() as pipeline:
                try:
                    yield pipeline
                except psycopg.Error as error:
                    failure = error
        except psycopg.Error:
            if failure is None:
                raise
        if failure is not None:
            raise failure

    @contextmanager
    def limited_transaction(self) -> Iterator[None]:
        """Run the block in a transaction whose statements the server ends in time, also behind a pooler."""
        with self.transaction():
            if self.is_pooled:
                self.execute(f"SET LOCAL statement_timeout = {_limit_ms(self._settings)}")
            yield

    def run(self, query: str, **values: object) -> list[Row]:
        """Execute *query*, whose tables are in the schema `capa`, with named *values*, and return all rows."""
        cursor = self._executed(query, values)
        return cursor.fetchall() if cursor.description else []

    def change(self, query: str, **values: object) -> int:
        """Execute *query* as `run` does, and return the number of rows that it changed."""
        return self._executed(query, values).rowcount

    def _executed(self, query: str, values: dict[str, object]) -> psycopg.Cursor[Row]:
        if self.is_pooled and self.info.transaction_status == TransactionStatus.IDLE:
            with self.limited_transaction():
                return self._executed(query, values)
        # Only without values may it be several statements, and only then are the results text.
        return self.execute(_in_schema(query, self.schema), values or None, binary=bool(values))

    def run_each(self, statements: Sequence[tuple[str, dict[str, object]]]) -> list[list[Row]]:
        """Execute *statements* in one transaction, in one round trip unless they are large; return the rows of each."""
        with self.limited_transaction(), ExitStack() as stack:
            if sum(_size(values) for _, values in statements) <= LARGEST_IN_PIPELINE:
                stack.enter_context(self.pipeline())
            cursors = [
                self.execute(_in_schema(query, self.schema), values, binary=True)
                for query, values in statements
            ]
        return [cursor.fetchall() for cursor in cursors]

    def notify(self, channel: str, subjects: Sequence[str]) -> bool:
        """Send a notice about each of *subjects*; return whether that is possible: it is not through a pooler."""
        if not self.is_pooled:
            self.execute(_NOTIFY, {"channel": channel, "subjects": subjects})
        return not self.is_pooled


def is_pooled(connection: psycopg.Connection[Any], given: bool | None) -> bool:
    """Return whether *connection* leads through a pooler, which invents the number of the server's process.

    Args:
        given: What the settings say of it.
    """
    if given is not None:
        return given
    found = connection.execute("SELECT pg_backend_pid()").fetchone()
    return found is not None and found[0] != connection.info.backend_pid


def _limit_ms(settings: PostgresSettings) -> int:
    """Return the milliseconds after which the server ends a statement itself, before its caller gives up."""
    return max(1, round(settings.timeout_s * 800))


def _size(values: dict[str, object]) -> int:
    return sum(len(value) for value in values.values() if isinstance(value, bytes))


@lru_cache(maxsize=256)
def _in_schema(query: str, schema: str) -> str:
    return query.replace("capa.", f'"{schema}".')
