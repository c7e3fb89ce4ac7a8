"""Migrations: the tables of each block, brought up to date by numbered steps.

A step that was released is never changed; the next number changes what it made.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from capa_core.components.postgres._connection import Connection

_TABLE = "CREATE TABLE IF NOT EXISTS capa.migration (block text PRIMARY KEY, step integer NOT NULL)"
_STEP = "SELECT step FROM capa.migration WHERE block = %(block)s"
_SET_STEP = """
INSERT INTO capa.migration VALUES (%(block)s, %(step)s) ON CONFLICT (block) DO UPDATE SET step = excluded.step
"""


def migrate(connection: Connection, block: str, steps: Sequence[str]) -> None:
    """Bring the tables of *block* up to date by *steps*; one process at a time does so.

    Raises:
        psycopg.errors.InsufficientPrivilege: The user may not create what is missing.
    """
    if _step(connection, block) >= len(steps):
        return
    with connection.transaction():
        # Any number will do that others do not take. It is the same for all schemas: the work is short.
        connection.run("SELECT pg_advisory_xact_lock(4276993775)")
        connection.run(f'CREATE SCHEMA IF NOT EXISTS "{connection.schema}"')
        connection.run(_TABLE)
        done = _step(connection, block)
        for number, statements in enumerate(steps[done:], done + 1):
            connection.run(statements)
            connection.run(_SET_STEP, block=block, step=number)


def _step(connection: Connection, block: str) -> int:
    """Return the number of the last step that was done; 0 if none was."""
    try:
        with (
            connection.transaction()
        ):  # a savepoint inside another one: the error undoes no more than the query
            rows = connection.run(_STEP, block=block)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return 0
    return int(rows[0][0]) if rows else 0
