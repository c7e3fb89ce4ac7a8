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
    UnsupportedError,
)
from capa_core.secret import without_credentials

OLDEST = 12
"""The first version with common table expressions that are materialized where a statement asks for it."""

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
    (' role "', PermissionDeniedError),  # … does not exist
    ("does not exist", NotFoundError),
    ("invalid port number", InvalidArgumentError),
)


_OTHER_KIND = "Check host and port of `url`: another kind of server, or TLS from the first byte, may be there"
_TLS_ALONE = (
    "Add `?sslmode=require` to `url` where the server takes TLS alone; or allow this host in pg_hba.conf"
)
_STEPS: tuple[tuple[str, str], ...] = (
    ("password authentication failed", "Correct user and password in `url`"),
    ("no password supplied", "Write the password into `url`"),
    ("no encryption", _TLS_ALONE),
    ("closed the connection unexpectedly", _OTHER_KIND),
    ("received invalid response", _OTHER_KIND),
    ("expected authentication request", _OTHER_KIND),
    ("pg_hba.conf", "Allow the user and this host in pg_hba.conf"),
    (' role "', "Correct the user in `url`, or make it: `CREATE ROLE … LOGIN`"),
    (' database "', "Correct the database in `url`, or make it: `CREATE DATABASE …`"),
    (
        "does not support SSL",
        "Turn on `ssl` in postgresql.conf; or, where the network is trusted, drop `sslmode`",
    ),
)


class TooOldError(psycopg.OperationalError):
    """The server is of a version that lacks what the tables need."""


class OverdueError(psycopg.OperationalError):
    """The time of a call was over before the server had answered."""


_BY_TYPE: tuple[tuple[type[psycopg.Error], type[CapaError]], ...] = (
    (errors.ConnectionTimeout, DeadlineError),
    (OverdueError, DeadlineError),
    (TooOldError, UnsupportedError),
)


def name_error(error: Exception) -> type[CapaError] | None:
    """Return Capa's type for *error*; `None` if it is not psycopg's."""
    if not isinstance(error, psycopg.Error):
        return None
    by_type = next((kind for native, kind in _BY_TYPE if isinstance(error, native)), None)
    if by_type is not None:
        return by_type
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


def on_connecting(error: psycopg.OperationalError, url: str) -> psycopg.OperationalError:
    """Return *error*, met on connecting, with the server where it names none, and the next step where there is one."""
    text = next(iter(str(error).splitlines()), type(error).__name__)
    if isinstance(error, errors.ConnectionTimeout):
        text = (
            f"PostgreSQL at {without_credentials(url)} did not answer in time, or not as a PostgreSQL server does:"
            " check host and port of `url`"
        )
    step = next((step for words, step in _STEPS if words in text), "")
    return type(error)(f"{text}. {step}." if step else text)


def check_version(version: int, place: str) -> None:
    """Check that a server of *version*, as libpq numbers it, has what the tables need.

    Raises:
        TooOldError: It is too old.
    """
    if version // 10_000 < OLDEST:
        major = (
            f"{version // 10_000}" if version >= 100_000 else f"{version // 10_000}.{version // 100 % 100}"
        )
        raise TooOldError(
            f"PostgreSQL at {place} is version {major}: the tables and their statements need {OLDEST} or later."
            " Upgrade the server, or use another engine."
        )


def is_gone(error: psycopg.Error) -> bool:
    """Return whether *error* says that a table, a column or a function is missing."""
    return error.sqlstate in ("3F000", "42P01", "42703", "42883")
