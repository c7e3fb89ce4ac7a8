"""Every error Capa raises, as one tree.

    CapaError
    ├── InvalidArgumentError      (also ValueError)
    │   └── SettingsError         a capa.toml, an environment variable or a setting in code is wrong
    │       ├── UnknownNameError  a key, driver, profile or name that nobody knows
    │       └── MissingExtraError (also ImportError) the library of an engine is not installed
    ├── NotFoundError             (also LookupError)
    ├── ConflictError
    │   ├── AlreadyExistsError
    │   └── LockLostError
    ├── PermissionDeniedError     (also PermissionError)
    ├── UnsupportedError          (also NotImplementedError)
    ├── UnavailableError          retryable
    ├── DeadlineError             retryable (also TimeoutError)
    ├── ExhaustedError            retryable
    ├── ClosedError
    ├── DataLossError
    └── UnknownError

`code` is stable and fit for logs, metrics and the wire; `retryable` says whether the same call may succeed
later with nothing else changed. Whether it is *safe* to repeat is the docstring of the method.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class CapaError(Exception):
    """Root of the tree: `except CapaError` catches all that Capa raises on purpose."""

    code: ClassVar[str] = "unknown"
    retryable: ClassVar[bool] = False


class InvalidArgumentError(CapaError, ValueError):
    """An argument is outside what the docstring allows. Nothing was done."""

    code = "invalid_argument"


class SettingsError(InvalidArgumentError):
    """A setting is wrong; the message names its place. Nothing was started."""

    code = "settings"


class UnknownNameError(SettingsError):
    """A key, driver, profile or logical name is not known; the message names the nearest match."""

    code = "unknown_name"


class MissingExtraError(SettingsError, ImportError):
    """A component needs a library that is not installed; the message names the extra to install."""

    code = "missing_extra"


class NotFoundError(CapaError, LookupError):
    """The thing named does not exist."""

    code = "not_found"


class ConflictError(CapaError):
    """The thing is not in the state that the call requires, such as another etag. Nothing was changed."""

    code = "conflict"


class AlreadyExistsError(ConflictError):
    """The thing to be created is there already. Nothing was changed."""

    code = "already_exists"


class LockLostError(ConflictError):
    """The lease of a lock ran out or went to somebody else: what it protected may have been touched."""

    code = "lock_lost"


class PermissionDeniedError(CapaError, PermissionError):
    """The engine refuses these credentials, or the operating system refuses this user."""

    code = "permission_denied"


class UnsupportedError(CapaError, NotImplementedError):
    """The component has no such ability and the core cannot make up for it. Nothing was done."""

    code = "unsupported"


class UnavailableError(CapaError):
    """The engine did not answer. Whether the call took effect is unknown unless the method says so."""

    code = "unavailable"
    retryable = True


class DeadlineError(CapaError, TimeoutError):
    """The call's time ran out. Whether it took effect is unknown unless the method says so."""

    code = "deadline"
    retryable = True


class ExhaustedError(CapaError):
    """A quota, a disk or a buffer is full. Nothing was done."""

    code = "exhausted"
    retryable = True


class ClosedError(CapaError):
    """The object was closed before. Nothing was done."""

    code = "closed"


class DataLossError(CapaError):
    """Stored data is unreadable. It is left as it is for inspection."""

    code = "data_loss"


class UnknownError(CapaError):
    """The engine reported something that its component does not know; the cause is chained."""

    code = "unknown"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the closest of *known*, or all of them, or nothing if there are none."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" Known: {', '.join(names)}." if names else ""
