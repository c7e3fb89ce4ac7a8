"""Translation of kazoo's errors."""

from __future__ import annotations

from kazoo import exceptions
from kazoo.handlers.threading import KazooTimeoutError

from capa_core.errors import (
    CapaError,
    ConflictError,
    DeadlineError,
    InvalidArgumentError,
    PermissionDeniedError,
    SettingsError,
    UnavailableError,
    UnknownError,
)

ERROR_TYPES: dict[type[BaseException], type[CapaError]] = {
    KazooTimeoutError: DeadlineError,
    exceptions.OperationTimeoutError: DeadlineError,
    exceptions.ConnectionLoss: UnavailableError,
    exceptions.ConnectionDropped: UnavailableError,
    exceptions.ConnectionClosedError: UnavailableError,
    exceptions.SessionExpiredError: UnavailableError,
    exceptions.NotReadOnlyCallError: UnavailableError,
    exceptions.AuthFailedError: PermissionDeniedError,
    exceptions.NoAuthError: PermissionDeniedError,
    exceptions.InvalidACLError: SettingsError,
    exceptions.BadArgumentsError: InvalidArgumentError,
    exceptions.BadVersionError: ConflictError,
    exceptions.KazooException: UnknownError,
}
"""The `error_types` of every driver on ZooKeeper."""
