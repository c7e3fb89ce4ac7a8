"""Calls to a Redis Cluster: each goes to the node that has the slot of its key."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import redis
from redis.exceptions import AskError, ClusterDownError, MovedError, TryAgainError
from redis.typing import EncodableT

from capa_core.components.redis._client import Client, Command
from capa_core.components.redis._pools import Pool
from capa_core.components.redis._server import ServerClient, answer
from capa_core.components.redis._settings import RedisSettings
from capa_core.components.redis._slots import Slots

_PAUSE_S = 0.02


class ClusterClient(Client):
    """Calls to the nodes of a cluster. All keys of one call have one slot.

    While a slot moves to another node, the keys that a call declares tell where they all are, so that no script sees
    one half of them.
    """

    declares_keys = True

    def __init__(self, settings: RedisSettings) -> None:
        super().__init__(settings)
        self._slots = Slots(settings)
        self._native: redis.RedisCluster | None = None

    def call(
        self,
        *command: EncodableT,
        before_answer: Callable[[Any], object] | None = None,
        limit_s: float | None = None,
    ) -> Any:
        """See `Client.call`."""
        end = time.monotonic() + (self._settings.timeout_s if limit_s is None else limit_s)
        node, asking = self._slots.node(_key(command)), False
        while True:
            try:
                if asking:
                    return _checked(node.call_many([("ASKING",), command]))[1]
                return node.call(*command, before_answer=before_answer, limit_s=end - time.monotonic())
            except MovedError as moved:
                node, asking = self._slots.move(moved.slot_id, moved.host, moved.port, node), False
            except AskError as ask:
                node, asking = self._slots.at(ask.host, ask.port, node), True
            except TryAgainError:  # the slot is just moving, and some of the keys are there already
                if time.monotonic() + _PAUSE_S > end:
                    raise
                time.sleep(_PAUSE_S)
                node, asking = self._slots.node(_key(command)), False
            except (redis.ConnectionError, redis.TimeoutError, ClusterDownError):
                self._slots.doubt()
                raise

    def call_many(self, commands: Sequence[Command]) -> list[Any]:
        """See `Client.call_many`: nodes work at the same time."""
        places: defaultdict[ServerClient, list[int]] = defaultdict(list)
        for place, command in enumerate(commands):
            places[self._slots.node(_key(command))].append(place)
        answers: list[Any] = [None] * len(commands)
        try:
            with ExitStack() as lent:
                connections = {node: lent.enter_context(node.lent()) for node in places}
                for node, connection in connections.items():
                    packed = connection.pack_commands([commands[place] for place in places[node]])
                    connection.send_packed_command(packed)
                for node, connection in connections.items():
                    for place in places[node]:
                        answers[place] = answer(connection)
        except (redis.ConnectionError, redis.TimeoutError):
            self._slots.doubt()
            raise
        return [
            self._again(command) if isinstance(found, (AskError, TryAgainError)) else found
            for command, found in zip(commands, answers, strict=True)
        ]

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `Client.get_many`."""
        found = self.call_many([("GET", key) for key in keys])
        return _checked([None if _is_of_another_kind(each) else each for each in found])

    def delete_many(self, keys: Sequence[str]) -> int:
        """See `Client.delete_many`."""
        return sum(_checked(self.call_many([("DEL", key) for key in keys])))

    def scan(self, pattern: str | bytes, *, count: int, kind: str = "") -> Iterator[bytes]:
        """See `Client.scan`."""
        for node in self._slots.nodes():
            yield from node.scan(pattern, count=count, kind=kind)

    def listening_pool(self, channel: str) -> Pool:
        """See `Client.listening_pool`: each node passes on what is published at any."""
        return self._slots.node(channel).listening_pool(channel)

    def settings_of_servers(self, names: Sequence[str]) -> list[dict[str, str]]:
        """See `Client.settings_of_servers`."""
        return [found for node in self._slots.nodes() for found in node.settings_of_servers(names)]

    def natives(self) -> Mapping[type[Any], Callable[[], Any]]:
        """See `Client.natives`: with connections of its own; safe for many threads."""
        return {redis.RedisCluster: self._connected}

    def about(self) -> str:
        """See `Client.about`: a cluster that lacks slots serves no key, though its nodes answer."""
        nodes = self._slots.nodes()
        *others, last = nodes
        for node in others:
            with suppress(redis.ConnectionError):
                return _about(node, len(nodes))
        return _about(last, len(nodes))

    def close(self) -> None:
        """See `Client.close`."""
        self._slots.close()
        if self._native is not None:
            self._native.close()

    def forget(self) -> None:
        """See `Client.forget`."""
        self._slots = Slots(self._settings)
        self._native = None

    def _connected(self) -> redis.RedisCluster:
        if self._native is None:
            self._native = redis.RedisCluster.from_url(self._settings.url)
        return self._native

    def _again(self, command: Command) -> Any:
        try:
            return self.call(*command)
        except redis.ResponseError as error:
            return error


def _key(command: Command) -> EncodableT:
    """Return the first key of *command*, by which all of them are found."""
    name = command[0]
    if name in ("EVAL", "EVALSHA"):
        return command[3]
    if name == "XREADGROUP":
        return command[command.index("STREAMS") + 1]
    return command[1]


def _is_of_another_kind(found: object) -> bool:
    return isinstance(found, redis.ResponseError) and str(found).startswith("WRONGTYPE")


def _checked(answers: list[Any]) -> list[Any]:
    """Return *answers*, or raise the first error among them."""
    for each in answers:
        if isinstance(each, redis.ResponseError):
            raise each
    return answers


def _about(node: ServerClient, nodes: int) -> str:
    about = node.about()
    if b"cluster_state:fail" in node.call("CLUSTER", "INFO"):
        raise ClusterDownError(
            f"the cluster of {about} is down, as nodes with some of its slots are: start them, and see"
            " `redis-cli --cluster check`"
        )
    return f"{about} and {nodes - 1} nodes more of its cluster"
