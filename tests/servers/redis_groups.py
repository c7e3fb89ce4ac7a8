"""Redis servers that belong together, for tests: the nodes of a cluster, and a service that a Sentinel watches."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import pytest
import redis

from ._process import ServerProcess, answers, free_port
from .redis import PROGRAM as SINGLE
from .redis import RedisServer

PROGRAM = replace(SINGLE, name="redis_groups", usual=False)
SERVICE = "Orders"
_SLOTS = 16_384
_DOWN_MS = 1000
_FORMED_WITHIN_S = 30


class RedisCluster:
    """Nodes that share the slots; each may have a replica."""

    def __init__(self, nodes: list[RedisServer], replicas: list[RedisServer]) -> None:
        self.nodes = nodes
        self.replicas = replicas

    @classmethod
    @contextmanager
    def started(cls, *, replicas: int = 0) -> Iterator[Self]:
        """Run three nodes, the first of which have *replicas*, for the length of a `with` block."""
        with ExitStack() as servers:
            started = [_started(servers) for _ in range(3 + replicas)]
            cluster = cls(started[:3], started[3:])
            cluster._form()
            yield cluster

    @property
    def url(self) -> str:
        """The address of one node, which has no replica."""
        return self.nodes[-1].url

    def fail_over(self) -> None:
        """Make the replica of the first node take its place, as an operator does; nothing is lost by that."""
        _ask(self.replicas[0], "FAILOVER")
        _wait_for(lambda: _replication(self.replicas[0])["role"] == "master")

    def move(self, slot: int) -> Iterator[bytes]:
        """Move *slot* to the next node as an operator does, yielding before each of its keys is moved."""
        place = slot * len(self.nodes) // _SLOTS
        source, target = self.nodes[place], self.nodes[(place + 1) % len(self.nodes)]
        names = {node: _ask(node, "MYID").decode() for node in (source, target)}
        _ask(target, "SETSLOT", slot, "IMPORTING", names[source])
        _ask(source, "SETSLOT", slot, "MIGRATING", names[target])
        while keys := _ask(source, "GETKEYSINSLOT", slot, 1):
            yield keys[0]
            with source.connected() as client:
                client.migrate("127.0.0.1", target.port, keys, 0, 5000)
        for node in (target, source):
            _ask(node, "SETSLOT", slot, "NODE", names[target])

    def _form(self) -> None:
        everyone = [*self.nodes, *self.replicas]
        bounds = [number * _SLOTS // len(self.nodes) for number in range(len(self.nodes) + 1)]
        for number, node in enumerate(everyone):
            _ask(node, "SET-CONFIG-EPOCH", number + 1)
            _ask(everyone[0], "MEET", "127.0.0.1", node.port, node.config["cluster_port"])
        for node, first, end in zip(self.nodes, bounds, bounds[1:], strict=False):
            _ask(node, "ADDSLOTSRANGE", first, end - 1)
        _wait_for(lambda: all(_sees(node, len(everyone)) for node in everyone))
        for node, replica in zip(self.nodes, self.replicas, strict=False):
            _ask(replica, "REPLICATE", _ask(node, "MYID"))
            _wait_for(partial(_has_replica, node))
        _wait_for(lambda: all(_serves(node) for node in self.nodes))

    def wait_until_replicated(self) -> None:
        """Wait until the first node has nothing that its replica lacks."""
        wait_until_replicated(self.nodes[0])


def _started(servers: ExitStack) -> RedisServer:
    """Start a node, on other ports if another process was first to take one of them: each node needs two."""
    for _ in range(5):
        try:
            return servers.enter_context(RedisServer.started(**_node()))
        except RuntimeError as error:
            if "Address already in use" not in str(error):
                raise
    return servers.enter_context(RedisServer.started(**_node()))


class RedisService:
    """A master and its replica, which a Sentinel watches."""

    def __init__(self, master: RedisServer, sentinel: ServerProcess, sentinel_port: int) -> None:
        self.master = master
        self.sentinel = sentinel
        self.sentinels = [f"127.0.0.1:{sentinel_port}"]
        self.url = f"redis://{SERVICE}/0"

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Self]:
        """Run a service for the length of a `with` block."""
        with ExitStack() as servers:
            master = servers.enter_context(
                RedisServer.started(repl_ping_replica_period=1, repl_diskless_sync_delay=0)
            )
            replica = servers.enter_context(RedisServer.started(replicaof=f"127.0.0.1 {master.port}"))
            _wait_for(partial(_has_replica, master))
            folder = Path(servers.enter_context(tempfile.TemporaryDirectory(prefix="sentinel-")))
            sentinel, port = _sentinel(folder, master.port)
            sentinel.start()
            servers.callback(sentinel.stop)
            _wait_for(lambda: replica.port in _replicas_known_at(port))
            yield cls(master, sentinel, port)

    def wait_until_replicated(self) -> None:
        """Wait until the master has nothing that its replica lacks."""
        wait_until_replicated(self.master)


def wait_until_replicated(master: RedisServer) -> None:
    """Wait until *master* has a replica, which lacks nothing."""
    _wait_for(partial(_has_replica, master))
    _wait_for(partial(_is_replicated, master))


def _node() -> dict[str, str | int]:
    return {
        "databases": 1,
        "cluster_enabled": "yes",
        "cluster_port": free_port(),
        "cluster_node_timeout": _DOWN_MS,
        "repl_ping_replica_period": 1,
        "repl_diskless_sync_delay": 0,
    }


def _sentinel(folder: Path, master_port: int) -> tuple[ServerProcess, int]:
    port = free_port()
    file = folder / "sentinel.conf"
    file.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor {SERVICE} 127.0.0.1 {master_port} 1\n"
        f"sentinel down-after-milliseconds {SERVICE} {_DOWN_MS}\n"
        f"sentinel failover-timeout {SERVICE} 5000\n"
    )
    return ServerProcess([PROGRAM.require(), str(file), "--sentinel"], folder, partial(answers, port)), port


def _replicas_known_at(sentinel_port: int) -> list[int]:
    with redis.Redis(port=sentinel_port, socket_timeout=10) as client:
        return [replica["port"] for replica in client.sentinel_slaves(SERVICE)]


def _ask(node: RedisServer, *words: Any) -> Any:
    with node.connected() as client:
        return client.execute_command(f"CLUSTER {words[0]}", *words[1:])


def _sees(node: RedisServer, count: int) -> bool:
    return bool(_ask(node, "INFO")["cluster_known_nodes"] == str(count))


def _serves(node: RedisServer) -> bool:
    return bool(_ask(node, "INFO")["cluster_state"] == "ok")


def _has_replica(node: RedisServer) -> bool:
    replication = _replication(node)
    return bool(replication["connected_slaves"] and replication["slave0"]["state"] == "online")


def _is_replicated(node: RedisServer) -> bool:
    replication = _replication(node)
    return bool(replication["master_repl_offset"] == replication["slave0"]["offset"])


def _replication(node: RedisServer) -> Any:
    with node.connected() as client:
        return client.info("replication")


def _wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + _FORMED_WITHIN_S
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError("the Redis servers did not find each other")
        time.sleep(0.02)


@contextmanager
def _address() -> Iterator[str]:
    with RedisCluster.started() as cluster:
        yield cluster.url


@pytest.fixture(scope="session")
def redis_cluster_url(run_folder: Path, request: pytest.FixtureRequest) -> str:
    """Give the address of a cluster that all tests share: take prefixes that no other test uses."""
    from ._shared import shared  # as in rabbitmq.py

    return shared(request.config, run_folder / "redis-cluster", _address)


@pytest.fixture
def start_redis_cluster() -> Iterator[Callable[..., RedisCluster]]:
    """Give a function that starts a cluster for this test alone."""
    with ExitStack() as servers:
        yield lambda **options: servers.enter_context(RedisCluster.started(**options))


@pytest.fixture
def redis_service() -> Iterator[RedisService]:
    """Start a service for this test alone."""
    with RedisService.started() as service:
        yield service
