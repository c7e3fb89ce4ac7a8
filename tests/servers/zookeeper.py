"""ZooKeeper for tests: one server for all workers, and servers to break."""

import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self
from uuid import uuid4

import pytest

from ._process import ServerProcess, free_port
from ._program import Program
from ._shared import shared

_JAR = "/usr/share/java/zookeeper.jar"
_JAVA = ("java", "-Xmx160m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-cp", _JAR)
PROGRAM = Program(
    "zookeeper",
    "/usr/share/zookeeper/bin/zkServer.sh",
    install="apt-get install zookeeper",
    version_command=("java", "-cp", _JAR, "org.apache.zookeeper.version.VersionInfoMain"),
)


class ZookeeperServer(ServerProcess):
    """An ensemble of one server on loopback. It keeps what it has acknowledged, whatever happens."""

    def __init__(self, folder: Path) -> None:
        PROGRAM.require()
        self.port = free_port()
        settings = {
            "dataDir": folder / "data",
            "clientPort": self.port,
            "clientPortAddress": "127.0.0.1",
            "tickTime": 500,
            "maxClientCnxns": 0,
            "admin.enableServer": "false",
        }
        config = folder / "zoo.cfg"
        config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        command = [*_JAVA, "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(config)]
        super().__init__(command, folder, self._serves, start_timeout_s=60)

    @property
    def hosts(self) -> str:
        """The address for clients."""
        return f"127.0.0.1:{self.port}"

    def _serves(self) -> bool:
        """Return whether it has begun to serve, which is later than to listen."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
                connection.sendall(b"srvr")
                return b"Mode:" in connection.makefile("rb").read()
        except OSError:
            return False

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Self]:
        """Run a server in a temporary folder, for the length of a `with` block."""
        with (
            tempfile.TemporaryDirectory(prefix="zookeeper-") as folder,
            cls(Path(folder)).serving() as server,
        ):
            yield server


@contextmanager
def _hosts() -> Iterator[str]:
    with ZookeeperServer.started() as server:
        yield server.hosts


@pytest.fixture(scope="session")
def zookeeper_hosts(request: pytest.FixtureRequest, run_folder: Path) -> str:
    """Share one server with all workers of this run."""
    return shared(request.config, run_folder / "zookeeper", _hosts)


@pytest.fixture
def zookeeper_settings(zookeeper_hosts: str) -> dict[str, str]:
    """Give the test settings with nodes that no other test sees."""
    return {"hosts": zookeeper_hosts, "prefix": f"/capa-{uuid4().hex}"}


@pytest.fixture
def start_zookeeper() -> Iterator[Callable[[], ZookeeperServer]]:
    """Give a function that starts a server for this test alone."""
    with ExitStack() as servers:
        yield lambda: servers.enter_context(ZookeeperServer.started())
