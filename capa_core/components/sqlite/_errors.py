"""Which of SQLite's errors means what."""

from __future__ import annotations

import sqlite3

from capa_core.errors import (
    CapaError,
    DataLossError,
    DeadlineError,
    ExhaustedError,
    InvalidArgumentError,
    PermissionDeniedError,
    UnavailableError,
    UnknownError,
)

# Primary result codes: https://www.sqlite.org/rescode.html
_BY_CODE: dict[int, type[CapaError]] = {
    sqlite3.SQLITE_BUSY: UnavailableError,
    sqlite3.SQLITE_LOCKED: UnavailableError,
    sqlite3.SQLITE_IOERR: UnavailableError,
    sqlite3.SQLITE_PROTOCOL: UnavailableError,
    sqlite3.SQLITE_CANTOPEN: UnavailableError,
    sqlite3.SQLITE_INTERRUPT: DeadlineError,
    sqlite3.SQLITE_FULL: ExhaustedError,
    sqlite3.SQLITE_NOMEM: ExhaustedError,
    sqlite3.SQLITE_TOOBIG: InvalidArgumentError,
    sqlite3.SQLITE_READONLY: PermissionDeniedError,
    sqlite3.SQLITE_PERM: PermissionDeniedError,
    sqlite3.SQLITE_AUTH: PermissionDeniedError,
    sqlite3.SQLITE_CORRUPT: DataLossError,
    sqlite3.SQLITE_NOTADB: DataLossError,
}


def name_error(error: Exception) -> type[CapaError] | None:
    """Return Capa's type for *error*; `None` for what is not SQLite's, and for misuse of it (a bug)."""
    if isinstance(error, PermissionError):
        return PermissionDeniedError
    if isinstance(error, OSError):
        return UnavailableError
    if not isinstance(error, sqlite3.DatabaseError) or isinstance(error, sqlite3.ProgrammingError):
        return None
    code = result_code(error)
    return None if code == sqlite3.SQLITE_ERROR else _BY_CODE.get(code, UnknownError)


def result_code(error: sqlite3.Error) -> int:
    """Return the primary result code, without the detail in its upper bits."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
