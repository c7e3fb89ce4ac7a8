"""The connections to one Redis server, made alike for every block."""

from __future__ import annotations

import encodings.idna  # noqa: F401 - else the first connection imports it, and a fork may fall into that
import re
from collections.abc import Callable, Sequence
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

_GLOB = re.compile(r"([*?\[\]\\])")
_NO_LIMIT = 2**31
"""redis-py's own is 100, and each consumer that waits for messages has a connection."""


def _address(url: str) -> str:
    try:
        redis.ConnectionPool.from_url(url).make_connection()  # it knows the options, and does not connect
        if urlsplit(url).scheme in ("redis", "rediss"):
            int(urlsplit(url).path.strip("/") or 0)  # redis-py takes what is no number for database 0
    except (TypeError, ValueError):  # their texts may hold a part of the password
        raise PydanticCustomError(
            "redis_url",
            "This is not an address of a Redis server. Write redis://[user[:password]@]host[:port]/database,"
            " and what is special in a password as %XX",
        ) from None
    return url


class RedisSettings(BaseModel):
    """Where the server is.

    Attributes:
        url: `redis://[user[:password]@]host[:port]/db`, `rediss://…` for TLS, or `unix://path?db=0`.
        timeout_s: How long one command may take, connecting included.
        prefix: Before every key and channel, so that components can share a database.
        max_bulk_bytes: The server's `proto-max-bulk-len`: the most that one value or message may have.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Annotated[str, AfterValidator(_address)] = Field(default="redis://127.0.0.1:6379/0", repr=False)
    timeout_s: float = 5.0
    prefix: str = "capa:"
    max_bulk_bytes: int = Field(default=512 * 1024**2, ge=1024**2)


def connect(settings: RedisSettings) -> redis.Redis:
    """Return a client that is safe for many threads and connects when first used.

    It never retries, for the portable type does, and gives bytes. RESP2, for it is the faster one to parse and
    every server speaks it.
    """
    return redis.Redis.from_pool(_pool(settings))


def forget(client: redis.Redis, settings: RedisSettings) -> None:
    """In a forked child, give *client* connections of its own; the parent's stay open.

    Not by the pool's `reset`: it takes a lock, which another thread of the parent may have held when it forked.
    """
    client.connection_pool = _pool(settings)


def _pool(settings: RedisSettings) -> redis.ConnectionPool:
    return Connections.from_url(
        settings.url,
        max_connections=_NO_LIMIT,
        socket_timeout=settings.timeout_s,
        socket_connect_timeout=settings.timeout_s,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        decode_responses=False,
    )


def call(
    client: redis.Redis,
    *command: EncodableT,
    before_answer: Callable[[Any], object] | None = None,
    limit_s: float | None = None,
) -> Any:
    """Send one command and return the answer as the server gave it.

    It is what `execute_command` does, without what redis-py does around it: half of the time of a short command.

    Args:
        before_answer: Called with the connection when the command was sent; what it raises, this raises.
        limit_s: Seconds that this may take, if not the `timeout_s` of the settings.

    Raises:
        redis.ResponseError: The server refused the command.
        redis.ConnectionError: There is no connection, or it broke. The command may have been carried out.
        redis.TimeoutError: No answer in time. The command may have been carried out.
    """
    pool = client.connection_pool
    connection: Any = pool.get_connection()
    try:
        if limit_s is not None:
            limit(connection, limit_s)
        connection.send_command(*command)
        if before_answer is not None:
            before_answer(connection)
        return connection.read_response()
    except redis.ResponseError:
        raise
    except BaseException:
        connection.disconnect()  # whatever answer is on its way must not be taken for that of the next command
        raise
    finally:
        if limit_s is not None:
            limit(connection, pool.connection_kwargs["socket_timeout"])
        pool.release(connection)


def limit(connection: Any, seconds: float) -> None:
    """Let whatever is done on *connection* from now on take *seconds* at most, connecting included."""
    connection.socket_timeout = connection.socket_connect_timeout = seconds
    if connection._sock is not None:
        connection._sock.settimeout(seconds)


def run(client: redis.Redis, script: Script, key: str, *arguments: EncodableT) -> Any:
    """Run *script* on *key* in one trip; in a second one if the server has not got it yet, or not any more.

    Raises:
        redis.RedisError: As `call`.
    """
    return run_on(client, script, (key,), *arguments)


def run_on(client: redis.Redis, script: Script, keys: Sequence[str], *arguments: EncodableT) -> Any:
    """Run *script* on several *keys*, as `run` does on one.

    Raises:
        redis.RedisError: As `call`.
    """
    try:
        return call(client, "EVALSHA", script.sha, len(keys), *keys, *arguments)
    except redis.exceptions.NoScriptError:
        return call(client, "EVAL", script.script, len(keys), *keys, *arguments)


def glob_escaped(text: str) -> str:
    """Return a pattern of SCAN that *text* alone matches."""
    return _GLOB.sub(r"\\\1", text)


def about(client: redis.Redis) -> str:
    """Return one line about the server, with what its settings put at risk.

    Raises:
        redis.RedisError: It does not answer, or refuses the credentials.
    """
    found = client.info()
    kept = "" if found.get("aof_enabled") else "; appendonly is off: what it holds may be lost when it stops"
    return f"Redis {found['redis_version']} at {address(client)}{kept}"


def address(client: redis.Redis) -> str:
    """Return where *client* connects to, without credentials."""
    known = client.connection_pool.connection_kwargs
    if "path" in known:
        return f"{known['path']} database {known.get('db', 0)}"
    return f"{known.get('host', 'localhost')}:{known.get('port', 6379)}/{known.get('db', 0)}"
