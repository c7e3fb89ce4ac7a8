"""Programs of Capa that are killed while they work: the bridge, and `capa config sync`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from reliability import bridge, config_sync
from reliability.matrix import Key
from servers._program import OwnServer, Program
from servers.apollo import PROGRAM as APOLLO
from servers.apollo import ApolloServer
from servers.rabbitmq import PROGRAM as RABBITMQ
from servers.rabbitmq import RabbitServer
from servers.redis import PROGRAM as REDIS
from servers.redis import RedisServer

FAULT = "killed"
MOST_SYNC_KILLS = 50
"""Each costs two seconds, and the stores change all the time: more of them show nothing else."""
_NEVER = {"lost", "out of order", "different", "older"}
Counts = dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Killed:
    """A program between two engines.

    Args:
        program: `bridge` or `config-sync`.
        engines: Both, as on the page.
        servers: The programs of those that are not embedded.
        run: Runs it in an empty folder, with so many messages and kills.
        twice: How many messages may come again at each kill.
    """

    program: str
    engines: str
    servers: tuple[Program | OwnServer, ...]
    run: Callable[[Path, int, int], Counts]
    twice: int = 0

    @property
    def key(self) -> Key:
        """The key of its result."""
        return Key(self.program, FAULT, self.engines)

    def misses(self, name: str, result: dict[str, Any]) -> bool:
        """Return whether the count *name* of a result is not as promised."""
        if name == "duplicated":
            return int(result[name]) > self.twice * int(result["faults"])
        return name in _NEVER and result.get(name, 0) > 0

    def meets(self, result: dict[str, Any]) -> bool:
        """Return whether a result is as promised."""
        return not any(self.misses(name, result) for name in result)


def _sqlite_to_redis(folder: Path, messages: int, kills: int) -> Counts:
    with RedisServer.started() as server:
        sides = bridge.SQLITE, bridge.REDIS
        return bridge.killed_under_load(folder, sides, {"redis": server.url}, messages, kills, with_keys=True)


def _redis_to_rabbitmq(folder: Path, messages: int, kills: int) -> Counts:
    with RedisServer.started() as redis, RabbitServer.started() as rabbit:
        words = {"redis": redis.url, "rabbitmq": rabbit.url, "unique": uuid4().hex}
        sides = bridge.REDIS, bridge.RABBITMQ
        counts = bridge.killed_under_load(folder, sides, words, messages, kills, with_keys=False)
    return {name: count for name, count in counts.items() if name != "out of order"}


def _sqlite_and_redis(folder: Path, _messages: int, kills: int) -> Counts:
    with RedisServer.started() as server:
        sides = 'driver = "sqlite"\nfolder = "left"', f'driver = "redis"\nurl = "{server.url}"'
        return config_sync.killed_while_both_change(folder, sides, kills)


def _file_and_apollo(folder: Path, _messages: int, kills: int) -> Counts:
    server = ApolloServer()
    try:
        server.release("application", {"begin": "1"})
        sides = 'driver = "file"\npath = "left"', config_sync.apollo(server.url, server.token)
        return config_sync.killed_while_both_change(folder, sides, kills, shared=(), begin={"begin": "1"})
    finally:
        server.stop()


KILLED = (
    Killed(program="bridge", engines="SQLite to Redis", servers=(REDIS,), run=_sqlite_to_redis),
    Killed(
        program="bridge",
        engines="Redis to RabbitMQ",
        servers=(REDIS, RABBITMQ),
        run=_redis_to_rabbitmq,
        twice=bridge.BATCH,
    ),
    Killed(program="config-sync", engines="SQLite and Redis", servers=(REDIS,), run=_sqlite_and_redis),
    Killed(program="config-sync", engines="a file and Apollo", servers=(APOLLO,), run=_file_and_apollo),
)
NAMES = frozenset(each.program for each in KILLED)


def chosen(words: Iterable[str]) -> list[Killed]:
    """Return those whose programs are among *words*, or all if there are no words."""
    wanted = set(words)
    return [each for each in KILLED if not wanted or each.program in wanted]
