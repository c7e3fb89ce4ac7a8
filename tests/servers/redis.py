"""Redis for tests: one server for each worker, a database for each test, and servers to break."""

import itertools
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import pytest
import redis

from ._process import ServerProcess, free_port
from ._program import Program

PROGRAM = Program("redis", "redis-server", install="apt-get install redis-server")
DATABASES = 1024


class RedisServer(ServerProcess):
    """A Redis server on loopback. Without further settings it keeps nothing on disk."""

    def __init__(self, folder: Path, **config: str | int) -> None:
        self.port = free_port()
        self.config = config
        settings = {"save": "", "appendonly": "no", "databases": DATABASES} | config
        settings |= {"bind": "127.0.0.1", "port": self.port, "dir": folder, "daemonize": "no"}
        flags = [
            word for key, value in settings.items() for word in (f"--{key.replace('_', '-')}", str(value))
        ]
        super().__init__([PROGRAM.require(), *flags], folder, self._answers)

    @classmethod
    @contextmanager
    def started(cls, **config: str | int) -> Iterator[Self]:
        """Run a server in a temporary folder, for the length of a `with` block.

        Args:
            config: Settings of redis.conf, with underscores for dashes. Data that survives a kill needs
                `appendonly="yes", appendfsync="always"`.
        """
        with (
            tempfile.TemporaryDirectory(prefix="redis-") as folder,
            cls(Path(folder), **config).serving() as server,
        ):
            yield server

    @property
    def url(self) -> str:
        """The address of database 0."""
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        """Return the address of one numbered database."""
        return f"redis://127.0.0.1:{self.port}/{database}"

    def flush(self, database: int) -> None:
        """Empty one numbered database."""
        assert self._ask(f"SELECT {database}", "FLUSHDB") == "+OK+OK"

    def connected(self) -> redis.Redis:
        """Return a client of redis-py for a `with` block."""
        return redis.Redis(port=self.port, socket_timeout=10)

    def _answers(self) -> bool:
        try:
            return self._ask("PING") == "+PONG"
        except OSError:
            return False

    def _ask(self, *commands: str) -> str:
        """Use the inline protocol, so that a fixture needs no client library and no pool to close."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall("".join(f"{command}\r\n" for command in commands).encode())
            with connection.makefile("rb") as answers:
                return "".join(answers.readline().decode().strip() for _ in commands)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Share one server over the whole run of a worker; a test that stops or reconfigures one takes `start_redis`."""
    with RedisServer.started() as server:
        yield server


@pytest.fixture(scope="session")
def _redis_databases() -> Iterator[int]:
    """Number the tests: a database is used again long after the test that had it has ended."""
    return itertools.cycle(range(1, DATABASES))


@pytest.fixture
def redis_url(redis_server: RedisServer, _redis_databases: Iterator[int]) -> Iterator[str]:
    """Give the test the address of an empty database that no other test sees.

    Publish/subscribe channels are shared by all databases of a server: make their names unique.
    """
    database = next(_redis_databases)
    redis_server.flush(database)
    yield redis_server.url_of(database)
    redis_server.flush(database)


@pytest.fixture
def start_redis() -> Iterator[Callable[..., RedisServer]]:
    """Give a function that starts a server for this test alone; its keywords are settings of redis.conf."""
    with ExitStack() as servers:
        yield lambda **config: servers.enter_context(RedisServer.started(**config))
