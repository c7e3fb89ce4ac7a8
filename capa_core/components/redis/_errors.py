"""Translation of redis-py's errors."""

from __future__ import annotations

import ssl
from typing import Any

import redis
from redis.connection import SSLConnection
from redis.sentinel import MasterNotFoundError

from capa_core.errors import (
    CapaError,
    ConflictError,
    DeadlineError,
    ExhaustedError,
    PermissionDeniedError,
    SettingsError,
    UnavailableError,
    UnknownError,
    UnsupportedError,
)


class TooOldError(redis.RedisError):
    """The server is of a version that lacks commands."""


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
    TooOldError: UnsupportedError,
    redis.WatchError: ConflictError,
    redis.InvalidResponse: UnavailableError,
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
    "WRONGTYPE": ConflictError,  # with the text of `_REFUSED_STEPS`
    "READONLY": UnavailableError,
    "DB": SettingsError,  # this and the next two have the text of `_REFUSED_STEPS`
    "SELECT": SettingsError,
    "SENTINEL": SettingsError,
}

OLDEST = (6, 2)
"""The first version whose streams tell idle deliveries, and which has all other commands of the scripts."""

_REFUSED_STEPS = {
    "command not allowed when used memory > 'maxmemory'.": "the server has no memory left for messages: raise"
    " `maxmemory` in redis.conf, or have more consumers",
    "WRONGTYPE Operation against a key holding the wrong kind of value": "WRONGTYPE in a key of this component:"
    " another program has put a value of another kind there. Remove it, or give this component a `prefix` of its own",
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
        text = text.partition(" script: ")[0]  # the digest of a script of this component, and a line in it
        error.args = (_REFUSED_STEPS.get(text.replace("`", "'"), text),)
    return error


def check_version(version: str, place: str) -> None:
    """Check that a server of *version* has the commands of the components.

    Raises:
        TooOldError: It is too old.
    """
    found = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if found and found < OLDEST:
        raise TooOldError(
            f"Redis at {place} is version {version}: this component needs {OLDEST[0]}.{OLDEST[1]} or later. Upgrade the"
            " server, or use another engine."
        )


def no_handshake(error: OSError) -> redis.RedisError:
    """Return *error*, the end of the handshake of TLS, with the next step."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return redis.ConnectionError(
            f"{error}. Name the authority of its certificate by `ssl_ca_certs` in `url`"
        )
    kind = redis.TimeoutError if isinstance(error, TimeoutError) else redis.ConnectionError
    return kind(
        f"no handshake of TLS ({error}): the server may have no TLS there. Correct the port; or, where the network is"
        " trusted, write redis://"
    )


def locate(error: BaseException, connection: Any) -> None:
    """Say which server *error*, the end of *connection*, is about, where redis-py does not."""
    if isinstance(error, MasterNotFoundError):
        pool = connection.connection_pool
        asked = (each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels)
        places = ", ".join(f"{each['host']}:{each['port']}" for each in asked)
        cause = "none of them answers" if "network:" in str(error) else "none of them knows it"
        error.args = (f"No master found for {pool.service_name!r} by the Sentinels {places}: {cause}",)
        return
    if not isinstance(error, redis.RedisError):
        return
    place = getattr(connection, "path", None) or f"{connection.host}:{connection.port}"
    if connection.deadline.is_unheard and isinstance(error, redis.ConnectionError | redis.TimeoutError):
        tls = "" if isinstance(connection, SSLConnection) else "; where it takes TLS alone, write rediss://"
        error.args = (f"the server at {place} gives no answer of Redis: {error}. Check the port{tls}",)
    elif place in str(error):
        return
    if isinstance(error, redis.InvalidResponse):
        error.args = (f"the server at {place} does not speak the protocol of Redis: {error}. Check the port",)
    else:
        step = " Correct user and password in `url`." if isinstance(error, redis.AuthenticationError) else ""
        error.args = (f"Redis at {place}: {error}{step}",)


def name_error(error: Exception) -> type[CapaError] | None:
    """Return Capa's type for *error*; `None` if it is not redis-py's."""
    if isinstance(error, redis.ResponseError):
        named = _BY_FIRST_WORD.get(str(error).partition(" ")[0])
        if named is not None:
            return named
    return next((_BY_TYPE[kind] for kind in type(error).__mro__ if kind in _BY_TYPE), None)
