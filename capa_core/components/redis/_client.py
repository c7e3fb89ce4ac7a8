"""Connections to one Redis server, with the same options for every block."""

from __future__ import annotations

import encodings.idna  # noqa: F401 - otherwise the first connection imports it, possibly during a fork
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any
from urllib.parse import urlsplit

import redis
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry
from redis.typing import EncodableT

from capa_core.components.redis._connections import Connections
from capa_core.components.redis._deadline import bounded

_GLOB = re.compile(r"([*?\[\]\\])")
_NO_LIMIT = 2**31
"""redis-py's default is 100, and each waiting consumer has a connection."""


def _address(url: str) -> str:
    try:
        redis.ConnectionPool.from_url(url).make_connection()  # it checks the options without connecting
        if urlsplit(url).scheme in ("redis", "rediss"):
            int(
                urlsplit(url).path.strip("/") or 0
            )  # redis-py reads a path that is not a number as database 0
    except (TypeError, ValueError):  # their texts may contain a part of the password
        raise PydanticCustomError(
            "redis_url",
            "This is not an address of a Redis server. Write redis://[user[:password]@]host[:port]/database,"
            " and escape special characters in a password as %XX",
        ) from None
    return url


class RedisSettings(BaseModel):
    """The address of the server and the options of its connections.

    Attributes:
        url: `redis://[user[:password]@]host[:port]/db`, `rediss://…` for TLS, or `unix://path?db=0`.
        timeout_s: Seconds that one command may take, including connecting.
        prefix: The prefix of every key and channel, so that components can share a database.
        max_bulk_bytes: The server's `proto-max-bulk-len`: the largest value or message.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(_address)] = Field(default="redis://127.0.0.1:6379/0", repr=False)
    timeout_s: float = 5.0
    prefix: str = "capa:"
    max_bulk_bytes: int = Field(default=512 * 1024**2, ge=1024**2)


def connect(settings: RedisSettings) -> redis.Redis:
    """Return a client that is safe for many threads and connects at the first use.

    It never retries, since the portable type does, and returns bytes. It uses RESP2, which parses faster and which
    every server supports.
    """
    return redis.Redis.from_pool(_pool(settings))


def forget(client: redis.Redis, settings: RedisSettings) -> None:
    """Give *client* new connections in a forked child; the parent's stay open.

    The pool's `reset` cannot do this: it takes a lock, which another thread of the parent may have held at the fork.
    """
    client.connection_pool = _pool(settings)


def _pool(settings: RedisSettings) -> redis.ConnectionPool:
    pool = Connections.from_url(
        settings.url,
        max_connections=_NO_LIMIT,
        socket_timeout=settings.timeout_s,
        socket_connect_timeout=settings.timeout_s,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        decode_responses=False,
    )
    pool.connection_class = bounded(pool.connection_class)
    return pool


def call(
    client: redis.Redis,
    *command: EncodableT,
    before_answer: Callable[[Any], object] | None = None,
    limit_s: float | None = None,
) -> Any:
    """Send one command and return the server's answer unchanged.

    It is `execute_command` without redis-py's overhead, which is half of the time of a short command.

    Args:
        before_answer: Called with the connection after the command was sent; its errors propagate.
        limit_s: Seconds that this may take, including connecting; `None` for the `timeout_s` of the settings.

    Raises:
        redis.ResponseError: The server refused the command.
        redis.ConnectionError: There is no connection, or it broke. The command may have been carried out.
        redis.TimeoutError: No complete answer in time. The command may have been carried out.
    """
    with _Connection(client, limit_s) as connection:
        connection.send_command(*command)
        if before_answer is not None:
            before_answer(connection)
        return connection.read_response()


def call_many(client: redis.Redis, commands: Sequence[Sequence[EncodableT]]) -> list[Any]:
    """Send all *commands* at once and return the answers, in order; an error of the server stands for its answer.

    Unlike an error of redis-py's pipeline, one of these does not quote its command, which may hold a secret.

    Raises:
        redis.ConnectionError: There is no connection, or it broke. Some commands may have been carried out.
        redis.TimeoutError: Not all answers came in time. Some commands may have been carried out.
    """
    with _Connection(client, None) as connection:
        connection.send_packed_command(connection.pack_commands(commands))
        return [_answer(connection) for _ in commands]


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return _hide_arguments(error).with_traceback(None)


def _hide_arguments(error: redis.ResponseError) -> redis.ResponseError:
    """Cut the arguments, which may be secrets, from the server's text on a command that it does not know."""
    error.args = (str(error).partition(", with args beginning with")[0],)
    return error


class _Connection:
    """A connection of the pool, lent for one call, with the deadline of the call."""

    __slots__ = ("_connection", "_limit_s", "_pool")

    def __init__(self, client: redis.Redis, limit_s: float | None) -> None:
        self._pool: Any = client.connection_pool  # whose connections are bounded
        self._limit_s = self._pool.connection_kwargs["socket_timeout"] if limit_s is None else limit_s

    def __enter__(self) -> Any:
        self._connection: Any = self._pool.get_connection()
        self._connection.deadline.begin(self._limit_s)
        return self._connection

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, redis.ResponseError):
            _hide_arguments(error)
        elif error is not None:
            self._connection.disconnect()  # a late answer must not be read as that of the next command
        self._connection.deadline.clear()
        self._pool.release(self._connection)


def scan(client: redis.Redis, pattern: str | bytes, *, count: int, kind: str = "") -> Iterator[bytes]:
    """Yield the keys that match *pattern*, some of them twice; each page is a call of its own.

    Args:
        kind: The type of the keys, such as `stream`; `""` for all.

    Raises:
        redis.RedisError: As `call`.
    """
    cursor = b"0"
    of_kind = ("TYPE", kind) if kind else ()
    while True:
        cursor, page = call(client, "SCAN", cursor, "MATCH", pattern, "COUNT", count, *of_kind)
        yield from page
        if int(cursor) == 0:
            return


def run(client: redis.Redis, script: Script, key: str, *arguments: EncodableT) -> Any:
    """Run *script* on *key* in one round trip; in two if the server does not have the script.

    Raises:
        redis.RedisError: As `call`.
    """
    return run_on(client, script, (key,), *arguments)


def run_on(client: redis.Redis, script: Script, keys: Sequence[str], *arguments: EncodableT) -> Any:
    """Run *script* on several *keys*, as `run` does on one.

    Raises:
        redis.RedisError: As `call`.
    """
    end = time.monotonic() + client.connection_pool.connection_kwargs["socket_timeout"]
    try:
        return call(client, "EVALSHA", script.sha, len(keys), *keys, *arguments)
    except redis.exceptions.NoScriptError:
        left_s = end - time.monotonic()
        return call(client, "EVAL", script.script, len(keys), *keys, *arguments, limit_s=left_s)


def glob_escaped(text: str) -> str:
    """Return a SCAN pattern that matches *text* alone."""
    return _GLOB.sub(r"\\\1", text)


def about(client: redis.Redis) -> str:
    """Return one line about the server.

    Raises:
        redis.RedisError: The server does not answer, or refuses the credentials.
    """
    lines = call(client, "INFO", "server").decode(errors="replace").splitlines()
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    return f"Redis {found.get('redis_version', '?')} at {address(client)}"


def address(client: redis.Redis) -> str:
    """Return the address to which *client* connects, without credentials."""
    known = client.connection_pool.connection_kwargs
    if "path" in known:
        return f"{known['path']} database {known.get('db', 0)}"
    return f"{known.get('host', 'localhost')}:{known.get('port', 6379)}/{known.get('db', 0)}"
