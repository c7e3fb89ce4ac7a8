"""Translation of psycopg's errors, by the codes of PostgreSQL in them."""

from __future__ import annotations

import psycopg
from psycopg import errors

from capa_core.errors import (
    AlreadyExistsError,
    CapaError,
    DataLossError,
    DeadlineError,
    ExhaustedError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
    UnknownError,
)

# https://www.postgresql.org/docs/current/errcodes-appendix.html: whole codes, then their classes of two characters.
_BY_CODE: dict[str, type[CapaError]] = {
    "22": InvalidArgumentError,
    "25006": UnavailableError,  # a standby: it becomes the primary, or the address leads to one later
    "3D000": NotFoundError,  # no such database
    "3F000": UnavailableError,  # the schema or a table was dropped: the next try creates it anew
    "42P01": UnavailableError,
    "42703": DataLossError,  # a column or a function is missing: the next call says which
    "42883": DataLossError,
    "42P07": AlreadyExistsError,  # another program's table has the name
    "42501": PermissionDeniedError,
    "53300": UnavailableError,  # too many connections
    "55P03": UnavailableError,  # a lock that others hold
    "57014": DeadlineError,  # statement_timeout of the server
    "08": UnavailableError,
    "28": PermissionDeniedError,
    "40": UnavailableError,  # a deadlock or a serialization failure: nothing was changed
    "53": ExhaustedError,  # disk, memory
    "54": InvalidArgumentError,  # a request of more than the server bears
    "57": UnavailableError,  # shutdown, start, recovery
    "58": UnavailableError,
}
# Refusals while connecting have no code in libpq: https://www.postgresql.org/docs/current/libpq-connect.html
_BY_WORDS: tuple[tuple[str, type[CapaError]], ...] = (
    ("password authentication failed", PermissionDeniedError),
    ("no password supplied", PermissionDeniedError),
    ("pg_hba.conf", PermissionDeniedError),
    ("not permitted to log in", PermissionDeniedError),
    ("does not exist", NotFoundError),
    ("invalid port number", InvalidArgumentError),
)


class OverdueError(psycopg.OperationalError):
    """The time of a call was over before the server had answered."""


def name_error(error: Exception) -> type[CapaError] | None:
    """Return Capa's type for *error*; `None` if it is not psycopg's."""
    if not isinstance(error, psycopg.Error):
        return None
    if isinstance(error, (errors.ConnectionTimeout, OverdueError)):
        return DeadlineError
    code = error.sqlstate or ""
    named = _BY_CODE.get(code) or _BY_CODE.get(code[:2])
    if named is not None:
        return named
    if isinstance(error, psycopg.DataError):  # of psycopg itself, which sent nothing
        return InvalidArgumentError
    if isinstance(error, psycopg.OperationalError):
        text = str(error)
        return next((kind for words, kind in _BY_WORDS if words in text), UnavailableError)
    return UnknownError


def is_gone(error: psycopg.Error) -> bool:
    """Return whether *error* says that a table, a column or a function is missing."""
    return error.sqlstate in ("3F000", "42P01", "42703", "42883")
