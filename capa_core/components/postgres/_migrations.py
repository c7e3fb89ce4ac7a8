"""Migrations: the tables of each block, brought up to date by numbered steps.

A step that was released is never changed; the next number changes what it made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import psycopg

from capa_core.components.postgres._connection import Connection
from capa_core.errors import DataLossError, SettingsError

_TABLE = "CREATE TABLE IF NOT EXISTS capa.migration (block text PRIMARY KEY, step integer NOT NULL)"
_STEP = "SELECT step FROM capa.migration WHERE block = %(block)s"
_SET_STEP = """
INSERT INTO capa.migration VALUES (%(block)s, %(step)s) ON CONFLICT (block) DO UPDATE SET step = excluded.step
"""
_PARTS = """
SELECT relname || '.' || attname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
WHERE relnamespace = to_regnamespace(%(name)s) AND attnum > 0 AND NOT attisdropped
UNION ALL SELECT proname || '()' FROM pg_proc WHERE pronamespace = to_regnamespace(%(name)s)
"""
_MAKING = re.compile(
    r"^CREATE TABLE capa\.(?P<table>\w+) \((?P<body>.*?)^\)|^CREATE FUNCTION capa\.(?P<function>\w+)\(",
    re.MULTILINE | re.DOTALL,
)
_COLUMN = re.compile(r"^    ([a-z_]+) ", re.MULTILINE)


def migrate(connection: Connection, block: str, steps: Sequence[str]) -> None:
    """Bring the tables of *block* up to date by *steps*; one process at a time does so.

    Raises:
        SettingsError: A newer Capa made the tables.
        DataLossError: A part of them is missing.
        psycopg.errors.InsufficientPrivilege: The user may not create what is missing.
    """
    done = _step(connection, block)
    if done < len(steps):
        done = _carry_out(connection, block, steps)
    if done > len(steps):
        raise SettingsError(
            f"the tables of {block} in schema {connection.schema!r} were made by a newer Capa (step {done}, and this"
            f" one knows {len(steps)}). Upgrade capa-core, or choose another schema_name."
        )
    present = {part for (part,) in connection.run(_PARTS, name=f'"{connection.schema}"')}
    if missing := made_by(tuple(steps)) - present:
        raise DataLossError(
            f"the tables of {block} in schema {connection.schema!r} were altered by another program: {min(missing)} is"
            " missing. Nothing was done. Put it back, or choose another schema_name."
        )


def _carry_out(connection: Connection, block: str, steps: Sequence[str]) -> int:
    """Carry out those of *steps* that were not, and return the number of the last one that was."""
    with connection.transaction():
        # Any number will do that others do not take. It is the same for all schemas: the work is short.
        connection.run("SELECT pg_advisory_xact_lock(4276993775)")
        connection.run(f'CREATE SCHEMA IF NOT EXISTS "{connection.schema}"')
        connection.run(_TABLE)
        done = _step(connection, block)
        for number, statements in enumerate(steps[done:], done + 1):
            connection.run(statements)
            connection.run(_SET_STEP, block=block, step=number)
    return max(done, len(steps))


@lru_cache(maxsize=8)
def made_by(steps: tuple[str, ...]) -> frozenset[str]:
    """Return the columns, as `table.column`, and the functions, as `name()`, that *steps* make."""
    return frozenset(part for step in steps for part in _parts(step))


def _parts(step: str) -> Iterator[str]:
    for made in _MAKING.finditer(step):
        if made["function"]:
            yield f"{made['function']}()"
        else:
            yield from (f"{made['table']}.{column}" for column in _COLUMN.findall(made["body"]))


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
