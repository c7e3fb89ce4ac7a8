"""Errors of SQLAlchemy that are Capa's too: whoever catches either gets the same one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import exc

from capa_core.errors import (
    CapaError,
    ConflictError,
    DeadlineError,
    InvalidArgumentError,
    UnavailableError,
    UnknownError,
    UnsupportedError,
)

_BY_TYPE: tuple[tuple[type[exc.DBAPIError], type[CapaError]], ...] = (
    (exc.IntegrityError, ConflictError),
    (exc.DataError, InvalidArgumentError),
    (exc.ProgrammingError, InvalidArgumentError),
    (exc.NotSupportedError, UnsupportedError),
    (exc.OperationalError, UnavailableError),
    (exc.InterfaceError, InvalidArgumentError),
)
"""The standard types of PEP 249, for errors whose code the dialect does not know."""


def usual_name(error: exc.DBAPIError) -> type[CapaError]:
    """Return Capa's type for *error* by its standard type alone."""
    return next((named for kind, named in _BY_TYPE if isinstance(error, kind)), UnknownError)


def translated(error: exc.StatementError, named: type[CapaError], message: str) -> exc.StatementError:
    """Return *error* as one that is also a *named*, whose text begins with *message*."""
    made: exc.StatementError = _both(named, type(error))(message, vars(error))
    return made


class NoConnectionFreeError(DeadlineError, exc.TimeoutError):  # type: ignore[misc] # `code` is Capa's
    """All connections of a pool were in use, for the whole time that the caller would wait. Nothing was done."""


_types: dict[tuple[type, type], type[Any]] = {}


def _both(named: type[CapaError], native: type[exc.StatementError]) -> type[Any]:
    """Return the type of errors that are both, made of a message and the attributes of a native one."""
    if (named, native) not in _types:
        _types.setdefault((named, native), _made(named, native))
    return _types[named, native]


def _made(named: type[CapaError], native: type[exc.StatementError]) -> type[Any]:
    def begin(self: Any, message: str, attributes: dict[str, Any]) -> None:
        # `code` is Capa's here; SQLAlchemy's leads to a page about the type of the error.
        vars(self).update({name: value for name, value in attributes.items() if name != "code"})
        self.args = (message,)

    def shown(self: Any) -> str:
        return f"{self.args[0]}\n[SQL: {self.statement}]" if self.statement else str(self.args[0])

    def reduced(self: Any) -> tuple[Any, ...]:
        # Without the parameters and the native error, which may hold what is secret, or cannot be pickled.
        return _again, (named, native, self.args[0], {**vars(self), "params": None, "orig": None})

    return type(
        named.__name__,
        (named, native),
        {
            "__module__": __name__,
            "__doc__": named.__doc__,
            "__init__": begin,
            "__str__": shown,
            "__reduce__": reduced,
        },
    )


def _again(
    named: type[CapaError], native: type[exc.StatementError], message: str, attributes: dict[str, Any]
) -> Exception:
    """Return an error that was pickled."""
    made: Exception = _both(named, native)(message, attributes)
    return made
