"""Files of other programs in the place of Capa's: recognised before anything is written to them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import lru_cache
from typing import NamedTuple

_COLUMNS = (
    "SELECT made.name, part.name FROM sqlite_master AS made, pragma_table_info(made.name) AS part"
    " WHERE made.type = 'table' AND made.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
)

_INDEXES = "SELECT name FROM sqlite_master WHERE type = 'index'"

Columns = frozenset[tuple[str, str]]


class _Made(NamedTuple):
    columns: Columns
    indexes: frozenset[str]


def strangeness(connection: sqlite3.Connection, steps: tuple[str, ...]) -> str:
    """Return in words how the tables of the file differ from those that *steps* make; `""` if Capa may have made it.

    Further tables and columns are no difference, unless there are no *steps* yet: an application may add its own.
    """
    present = _columns(connection)
    if not steps:
        return f"it has a table {min(present)[0]!r}, and Capa made none there" if present else ""
    missing = _made_by(steps).columns - present
    return "it has no column {}.{}".format(*min(missing)) if missing else ""


def alteration(connection: sqlite3.Connection, steps: tuple[str, ...]) -> str:
    """Return in words what the file lacks of the tables and indexes that *steps* made in it; `""` if nothing."""
    if strange := strangeness(connection, steps):
        return strange
    missing = _made_by(steps).indexes - _indexes(connection)
    return f"it has no index {min(missing)}" if missing else ""


def _columns(connection: sqlite3.Connection) -> Columns:
    return frozenset(connection.execute(_COLUMNS).fetchall())


def _indexes(connection: sqlite3.Connection) -> frozenset[str]:
    return frozenset(name for (name,) in connection.execute(_INDEXES))


@lru_cache(maxsize=32)
def _made_by(steps: tuple[str, ...]) -> _Made:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript("".join(steps))
        return _Made(_columns(connection), _indexes(connection))
