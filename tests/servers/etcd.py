"""etcd for tests: one member for all workers, and members to break."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Self
from uuid import uuid4

import pytest

from ._process import ServerProcess, answers, free_port
from ._program import Program

PROGRAM = Program("etcd", "etcd", install="apt-get install etcd-server")


class EtcdServer(ServerProcess):
    """A cluster of one member on loopback. It keeps what it has acknowledged, whatever happens."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        client, peer = self.url, f"http://127.0.0.1:{free_port()}"
        settings = {
            "name": "one",
            "data-dir": folder / "data",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"one={peer}",
        }
        flags = [f"--{name}={value}" for name, value in settings.items()]
        super().__init__([PROGRAM.require(), *flags], folder, partial(answers, self.port))

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"http://127.0.0.1:{self.port}"

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[Self]:
        """Run a member in a temporary folder, for the length of a `with` block."""
        with (
            tempfile.TemporaryDirectory(prefix="etcd-") as folder,
            cls(Path(folder)).serving() as server,
        ):
            yield server


@pytest.fixture(scope="session")
def etcd_server() -> Iterator[EtcdServer]:
    """Share one member over the whole run of a worker."""
    with EtcdServer.started() as server:
        yield server


@pytest.fixture
def etcd_settings(etcd_server: EtcdServer) -> dict[str, str]:
    """Give the test settings with keys that no other test sees."""
    return {"url": etcd_server.url, "prefix": f"{uuid4().hex}/"}


@pytest.fixture
def start_etcd() -> Iterator[Callable[[], EtcdServer]]:
    """Give a function that starts a member for this test alone."""
    with ExitStack() as servers:
        yield lambda: servers.enter_context(EtcdServer.started())
