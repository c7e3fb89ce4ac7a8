"""Translation of SQLite's errors."""

from __future__ import annotations

import sqlite3
from pathlib import Path

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
    """Return Capa's type for *error*; `None` if it is not SQLite's, or a misuse of SQLite (a bug)."""
    if isinstance(error, PermissionError):
        return PermissionDeniedError
    if isinstance(error, OSError):
        return UnavailableError
    if not isinstance(error, sqlite3.DatabaseError) or isinstance(error, sqlite3.ProgrammingError):
        return None
    code = result_code(error)
    return None if code == sqlite3.SQLITE_ERROR else _BY_CODE.get(code, UnknownError)


_NEXT_STEP: dict[int, str] = {
    sqlite3.SQLITE_FULL: "The disk is full: nothing was stored. Make room and try again.",
    sqlite3.SQLITE_CORRUPT: "The file is damaged and was left unchanged. Move it away, or replace it by a backup.",
    sqlite3.SQLITE_NOTADB: "This is not an SQLite file; it was left unchanged. Move it away, or choose another folder.",
    sqlite3.SQLITE_READONLY: "The file is read-only. Change its permissions, or choose another folder.",
    sqlite3.SQLITE_CANTOPEN: "The file cannot be opened. Check the folder and its permissions.",
}


def explain(error: sqlite3.Error, path: Path) -> None:
    """Raise Capa's error with the file and the next step, for those of SQLite's that lack both; ignore others.

    Raises:
        CapaError: The type for the result code.
    """
    if str(error).startswith("Could not decode to UTF-8"):  # its text goes on with the value
        raise DataLossError(
            f"{path}: a text that another program wrote is not UTF-8. Nothing was done. Look for the row and remove it."
        ) from None
    code = result_code(error)
    if code in _NEXT_STEP:
        raise _BY_CODE[code](f"{path}: {error}. {_NEXT_STEP[code]}") from error


def result_code(error: sqlite3.Error) -> int:
    """Return the primary result code, without the detail in its upper bits."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
