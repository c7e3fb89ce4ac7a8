"""Risks of a PostgreSQL server, by the settings that it has now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from capa_core.driver import Risk

NAMES = ("fsync", "full_page_writes", "synchronous_commit")

_NO_FSYNC = Risk(
    "a power cut",
    "acknowledged writes, and possibly the whole database",
    "Set fsync to on in postgresql.conf.",
)
_TORN_PAGES = Risk(
    "a power cut", "pages that were half written", "Set full_page_writes to on in postgresql.conf."
)
_LAZY_COMMIT = Risk(
    "a crash of the server",
    "the acknowledged writes of the last second",
    "Set synchronous_commit to on (`ALTER DATABASE … SET synchronous_commit = on`).",
)

UNLOGGED = """
SELECT quote_ident(nspname) || '.' || quote_ident(relname)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = %(schema)s AND relkind = 'r' AND relpersistence = 'u' ORDER BY 1
"""
"""The tables of a schema that a crash empties."""


def risks(settings: Mapping[str, str], unlogged: Sequence[str] = ()) -> list[Risk]:
    """Return the risks of a server with *settings*, those of `NAMES`, and the tables that `UNLOGGED` returns."""
    found = [_emptied(table) for table in unlogged]
    if settings.get("fsync") == "off":
        found.append(_NO_FSYNC)
    elif settings.get("full_page_writes") == "off":
        found.append(_TORN_PAGES)
    if settings.get("synchronous_commit") == "off":
        found.append(_LAZY_COMMIT)
    return found


def _emptied(table: str) -> Risk:
    return Risk("a crash of the server", f"all rows of {table}", f"Run ALTER TABLE {table} SET LOGGED.")
