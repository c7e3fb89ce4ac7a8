"""Translation of redis-py's errors."""

from __future__ import annotations

import redis

from capa_core.errors import (
    CapaError,
    ConflictError,
    DeadlineError,
    ExhaustedError,
    PermissionDeniedError,
    SettingsError,
    UnavailableError,
    UnknownError,
)

_BY_TYPE: dict[type[BaseException], type[CapaError]] = {
    redis.ConnectionError: UnavailableError,
    redis.TimeoutError: DeadlineError,
    redis.AuthenticationError: PermissionDeniedError,
    redis.exceptions.AuthorizationError: PermissionDeniedError,
    redis.exceptions.NoPermissionError: PermissionDeniedError,
    redis.exceptions.OutOfMemoryError: ExhaustedError,
    redis.ReadOnlyError: UnavailableError,
    redis.exceptions.ClusterDownError: UnavailableError,
    redis.exceptions.TryAgainError: UnavailableError,
    redis.exceptions.MovedError: SettingsError,  # the rest of them are followed
    redis.WatchError: ConflictError,
    redis.ResponseError: UnknownError,
    redis.RedisError: UnknownError,
}

# Replies without a type in redis-py: https://github.com/redis/redis/blob/7.0/src/server.c
_BY_FIRST_WORD: dict[str, type[CapaError]] = {
    "MISCONF": ExhaustedError,  # it cannot write its snapshot, usually because the disk is full, and refuses writes
    "NOREPLICAS": UnavailableError,
    "BUSY": UnavailableError,
    "NOGROUP": UnavailableError,  # the stream or its group was lost, as by FLUSHALL: the next try makes them anew
    "UNBLOCKED": UnavailableError,  # as above, while a call waited
    "NOPERM": PermissionDeniedError,
    "NOAUTH": PermissionDeniedError,
    "OOM": ExhaustedError,
    "READONLY": UnavailableError,
    "DB": SettingsError,  # this and the next two have the text of `_REFUSED_STEPS`
    "SELECT": SettingsError,
    "SENTINEL": SettingsError,
}

_REFUSED_STEPS = {
    "DB index is out of range": "DB index is out of range: lower the number of the database in `url`, or raise"
    " `databases` in the settings of the server",
    "SELECT is not allowed in cluster mode": "SELECT is refused by one node of a cluster: set `cluster = true`, and"
    " remove the number of the database from `url`",
    "unknown command 'SENTINEL'": "SENTINEL is no command of a server in `sentinels`: write the addresses of Sentinels"
    " there, or remove `sentinels` and put the server into `url`",
}
"""Answer to a step of connecting → text that names the setting to change."""


def explain(error: redis.ResponseError) -> redis.ResponseError:
    """Say what to do where the server's text does not, and cut arguments, which may be secrets, from it."""
    if isinstance(error, redis.exceptions.MovedError):
        error.args = (
            f"this is one node of a cluster, and has no slot {error.slot_id}: set `cluster = true`",
        )
    else:
        text = str(error).partition(", with args beginning with")[
            0
        ]  # of a command that the server does not know
        error.args = (_REFUSED_STEPS.get(text.replace("`", "'"), text),)
    return error


def name_error(error: Exception) -> type[CapaError] | None:
    """Return Capa's type for *error*; `None` if it is not redis-py's."""
    if isinstance(error, redis.ResponseError):
        named = _BY_FIRST_WORD.get(str(error).partition(" ")[0])
        if named is not None:
            return named
    return next((_BY_TYPE[kind] for kind in type(error).__mro__ if kind in _BY_TYPE), None)
