"""Calls to one Redis server, or to the one that is the master of a service behind Sentinels."""

from __future__ import annotations

import encodings.idna  # noqa: F401 - otherwise the first connection imports it, possibly during a fork
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import redis
from redis.typing import EncodableT

from capa_core.components.redis._client import Client, Command
from capa_core.components.redis._errors import check_version, explain, locate
from capa_core.components.redis._pools import Pool, pool_of
from capa_core.components.redis._settings import RedisSettings


class ServerClient(Client):
    """Calls to the server of the settings, or to the one at *place*: its `host` and `port`."""

    def __init__(self, settings: RedisSettings, **place: Any) -> None:
        super().__init__(settings)
        self._limit_s = settings.timeout_s
        self._place = place
        self._pool = pool_of(settings, **place)
        self._native: Any = redis.Redis.from_pool(self._pool)

    def call(
        self,
        *command: EncodableT,
        before_answer: Callable[[Any], object] | None = None,
        limit_s: float | None = None,
    ) -> Any:
        """See `Client.call`."""
        with Lent(self._pool, self._limit_s if limit_s is None else limit_s) as connection:
            connection.send_command(*command)
            if before_answer is not None:
                before_answer(connection)
            return connection.read_response()

    def call_many(self, commands: Sequence[Command]) -> list[Any]:
        """See `Client.call_many`."""
        with self.lent() as connection:
            connection.send_packed_command(connection.pack_commands(commands))
            return [answer(connection) for _ in commands]

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `Client.get_many`."""
        return list(self.call("MGET", *keys))

    def delete_many(self, keys: Sequence[str]) -> int:
        """See `Client.delete_many`."""
        return int(self.call("DEL", *keys))

    def scan(self, pattern: str | bytes, *, count: int, kind: str = "") -> Iterator[bytes]:
        """See `Client.scan`."""
        cursor = b"0"
        of_kind = ("TYPE", kind) if kind else ()
        while True:
            cursor, page = self.call("SCAN", cursor, "MATCH", pattern, "COUNT", count, *of_kind)
            yield from page
            if int(cursor) == 0:
                return

    def listening_pool(self, channel: str) -> Pool:
        """See `Client.listening_pool`."""
        del channel
        return self._pool

    def settings_of_servers(self, names: Sequence[str]) -> list[dict[str, str]]:
        """See `Client.settings_of_servers`: many clouds refuse CONFIG."""
        answers = self.call_many([("CONFIG", "GET", name) for name in names])
        if any(isinstance(each, redis.ResponseError) for each in answers):
            return []
        return [{name: each[1].decode() for name, each in zip(names, answers, strict=True) if each}]

    def natives(self) -> Mapping[type[Any], Callable[[], Any]]:
        """See `Client.natives`: on the same connections; safe for many threads and across a fork."""
        return {redis.Redis: lambda: self._native}

    def about(self) -> str:
        """See `Client.about`."""
        lines = self.call("INFO", "server").decode(errors="replace").splitlines()
        found = dict(line.split(":", 1) for line in lines if ":" in line)
        version = found.get("redis_version", "?")
        check_version(version, self.address())
        return f"Redis {version} at {self.address()}"

    def address(self) -> str:
        """Return the address to which it connects, without credentials."""
        known = self._pool.connection_kwargs
        database = known.get("db", 0)
        if "path" in known:
            return f"{known['path']} database {database}"
        if self._settings.sentinels:
            return (
                f"{self._settings.service()}/{database}, the master by {', '.join(self._settings.sentinels)}"
            )
        return f"{known.get('host', 'localhost')}:{known.get('port', 6379)}/{database}"

    @property
    def host(self) -> str:
        """The host to which it connects."""
        return str(self._pool.connection_kwargs.get("host", "localhost"))

    def close(self) -> None:
        """See `Client.close`."""
        self._pool.close()

    def forget(self) -> None:
        """See `Client.forget`.

        The pool's `reset` cannot do this: it takes a lock, which another thread may have held at the fork.
        """
        self._pool = self._native.connection_pool = pool_of(self._settings, **self._place)

    def lent(self) -> Lent:
        """Return a connection for the calls of a `with` block, which together may take the time of one."""
        return Lent(self._pool, self._limit_s)


class Lent:
    """A connection of *pool*, lent for a `with` block that may take *limit_s*."""

    __slots__ = ("_connection", "_limit_s", "_pool")

    def __init__(self, pool: Pool, limit_s: float) -> None:
        self._pool = pool
        self._limit_s = limit_s

    def __enter__(self) -> Any:
        self._connection: Any = self._pool.get_connection()
        self._connection.deadline.begin(self._limit_s)
        return self._connection

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, redis.ResponseError):
            explain(error)
        elif error is not None:
            locate(error, self._connection)
            self._connection.disconnect()  # a late answer must not be read as that of the next command
        self._connection.deadline.clear()
        self._pool.release(self._connection)


def answer(connection: Any) -> Any:
    """Return the next answer, or the error that stands for it."""
    try:
        return connection.read_response()
    except redis.ResponseError as error:
        return explain(error).with_traceback(None)
