"""Every error Capa raises, as one tree.

    CapaError
    ├── InvalidArgumentError      (also ValueError)
    │   └── SettingsError         a capa.toml, an environment variable or a setting in code is wrong
    │       ├── UnknownNameError  an unknown key, driver, profile or name
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

`code` is stable and fit for logs, metrics and the wire; `retryable` is whether the same call may succeed later
with nothing else changed. The docstring of a method states whether it is *safe* to repeat.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class CapaError(Exception):
    """Root of the tree: `except CapaError` catches every error that Capa raises on purpose."""

    code: ClassVar[str] = "unknown"
    retryable: ClassVar[bool] = False


class InvalidArgumentError(CapaError, ValueError):
    """An argument is outside the range that the docstring allows. Nothing was done."""

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
    """The named resource does not exist."""

    code = "not_found"


class ConflictError(CapaError):
    """The resource is not in the state that the call requires, such as a different etag. Nothing was changed."""

    code = "conflict"


class AlreadyExistsError(ConflictError):
    """The resource to be created exists already. Nothing was changed."""

    code = "already_exists"


class LockLostError(ConflictError):
    """The lease of a lock expired or passed to another owner: the protected resource may have been changed."""

    code = "lock_lost"


class PermissionDeniedError(CapaError, PermissionError):
    """The engine refuses these credentials, or the operating system refuses this user."""

    code = "permission_denied"


class UnsupportedError(CapaError, NotImplementedError):
    """The component lacks an ability and the core cannot compensate for it. Nothing was done."""

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
    """The object is closed. Nothing was done."""

    code = "closed"


class DataLossError(CapaError):
    """Stored data is unreadable. It is left unchanged for inspection."""

    code = "data_loss"


class UnknownError(CapaError):
    """The engine reported an error that its component does not recognise; the cause is chained."""

    code = "unknown"


def nearest(word: str, known: Iterable[str]) -> str:
    """Return `" Did you mean 'x'?"` for the closest of *known*; else the list of all; `""` if there are none."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" Known: {', '.join(names)}." if names else ""
