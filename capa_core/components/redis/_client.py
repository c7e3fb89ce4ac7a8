"""Calls to Redis, wherever the keys are: on one server, behind Sentinels, or on the nodes of a cluster."""

from __future__ import annotations

import hashlib
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

import redis
from redis.typing import EncodableT

from capa_core.components.redis._pools import Pool
from capa_core.components.redis._settings import RedisSettings

_GLOB = re.compile(r"([*?\[\]\\])")

Command = Sequence[EncodableT]


class Script(NamedTuple):
    """A Lua script, which the server knows by its digest once it has run."""

    text: str
    sha: str

    @classmethod
    def of(cls, text: str) -> Self:
        """Return the script with *text*."""
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class Client(ABC):
    """Calls to the servers of one component. Safe for many threads; connects at the first use.

    Attributes:
        declares_keys: Whether a script must be told all its keys, and not only the one that the others begin with.
        fails_over: Whether a replica takes the place of a server that is lost.
    """

    declares_keys = False

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self.fails_over = settings.cluster or bool(settings.sentinels)

    @abstractmethod
    def call(
        self,
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

    @abstractmethod
    def call_many(self, commands: Sequence[Command]) -> list[Any]:
        """Send all *commands* at once and return the answers, in order; an error of the server stands for its answer.

        Unlike an error of redis-py's pipeline, one of these does not quote its command, which may hold a secret.

        Raises:
            redis.ConnectionError: There is no connection, or it broke. Some commands may have been carried out.
            redis.TimeoutError: Not all answers came in time. Some commands may have been carried out.
        """

    def run(self, script: Script, key: str, *arguments: EncodableT) -> Any:
        """Run *script* on *key* in one round trip; in two if the server does not have the script.

        Raises:
            redis.RedisError: As `call`.
        """
        return self.run_on(script, (key,), *arguments)

    def run_on(self, script: Script, keys: Sequence[str], *arguments: EncodableT) -> Any:
        """Run *script* on several *keys*, as `run` does on one.

        Raises:
            redis.RedisError: As `call`.
        """
        end = time.monotonic() + self._settings.timeout_s
        try:
            return self.call("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except redis.exceptions.NoScriptError:
            left_s = end - time.monotonic()
            return self.call("EVAL", script.text, len(keys), *keys, *arguments, limit_s=left_s)

    @abstractmethod
    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values of *keys*, `None` for one that has none; raises as `call` does."""

    @abstractmethod
    def delete_many(self, keys: Sequence[str]) -> int:
        """Remove *keys* and return how many there were; raises as `call` does."""

    @abstractmethod
    def scan(self, pattern: str | bytes, *, count: int, kind: str = "") -> Iterator[bytes]:
        """Yield the keys that match *pattern*, some of them twice; each page is a call of its own.

        Args:
            kind: The type of the keys, such as `stream`; `""` for all.

        Raises:
            redis.RedisError: As `call`.
        """

    @abstractmethod
    def listening_pool(self, channel: str) -> Pool:
        """Return a pool whose connections are sent what is published on *channel*; raises as `call` does."""

    @abstractmethod
    def settings_of_servers(self, names: Sequence[str]) -> list[dict[str, str]]:
        """Return these settings of each server; none of one that shows them to nobody. Raises as `call` does."""

    @abstractmethod
    def natives(self) -> Mapping[type[Any], Callable[[], Any]]:
        """Return functions that return redis-py's own client, by its type. It returns bytes."""

    @abstractmethod
    def about(self) -> str:
        """Return one line about the server, or raise why there is none."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections."""

    @abstractmethod
    def forget(self) -> None:
        """Have new connections in a forked child; the parent's stay open."""


def glob_escaped(text: str) -> str:
    """Return a SCAN pattern that matches *text* alone."""
    return _GLOB.sub(r"\\\1", text)
