"""RabbitMQ for tests: one broker for all workers, and brokers to break."""

import os
import subprocess
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
    "rabbitmq",
    "rabbitmq-server",
    install="apt-get install rabbitmq-server",
    version_command=("dpkg-query", "--show", "rabbitmq-server"),
)
LARGEST_MESSAGE = 20 * 1024**2
"""The limit of the broker that tests share, below the default, so that it can be met."""
_START_TIMEOUT_S = 60.0  # Erlang starts on all processors at once, and so does each worker of a parallel run

_SYNC = b"[dets:sync(Table) || Table <- dets:all()], mnesia:dump_log().\n"


class RabbitServer(ServerProcess):
    """A RabbitMQ broker on loopback, with an epmd of its own. Guests may connect, as from localhost.

    Args:
        management: Whether it has its management plug-in, which takes more seconds to start.
        config: Settings of rabbitmq.conf, with double underscores for dots.
    """

    def __init__(
        self, folder: Path, epmd_port: int, *, management: bool = False, **config: str | int
    ) -> None:
        self.port, self._management_port = free_port(), free_port()
        settings = {"listeners.tcp.default": f"127.0.0.1:{self.port}", "loopback_users": "none"}
        if management:
            (folder / "plugins").write_text("[rabbitmq_management].\n")
            settings |= {
                "management.tcp.ip": "127.0.0.1",
                "management.tcp.port": str(self._management_port),
                "collect_statistics_interval": "500",
            }
        settings |= {name.replace("__", "."): str(value) for name, value in config.items()}
        (folder / "rabbitmq.conf").write_text(
            "".join(f"{name} = {value}\n" for name, value in settings.items())
        )
        self._variables = variables = {
            "HOME": folder,
            "RABBITMQ_NODENAME": f"capa{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": folder / "data",
            "RABBITMQ_LOG_BASE": folder / "log",
            "RABBITMQ_PID_FILE": folder / "pid",
            "RABBITMQ_CONFIG_FILE": folder / "rabbitmq",
            "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "plugins",
            "RABBITMQ_DIST_PORT": free_port(),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": epmd_port,
            "detached": "yes",  # the script becomes the broker, so that the pid is the broker's own
        }
        words = [f"{name}={value}" for name, value in variables.items()]
        command = ["env", *words, f"{Path(PROGRAM.require()).resolve().parent}/rabbitmq-server"]
        ports = [self.port, *([self._management_port] if management else [])]
        super().__init__(command, folder, lambda: all(map(answers, ports)), start_timeout_s=_START_TIMEOUT_S)

    def write_list_of_queues(self) -> None:
        """Have the list of queues on the disk, which the broker writes late: without it, a kill loses new queues."""
        name = self._variables["RABBITMQ_NODENAME"]
        cookie = (self._folder / ".erlang.cookie").read_text()
        command = ["erl_call", "-sname", name, "-c", cookie, "-e"]
        environment = os.environ | {key: str(value) for key, value in self._variables.items()}
        subprocess.run(
            command, env=environment, input=_SYNC, check=True, timeout=60, stdout=subprocess.DEVNULL
        )

    @property
    def url(self) -> str:
        """The address of the virtual host `/`."""
        return f"amqp://127.0.0.1:{self.port}"

    @property
    def management_url(self) -> str:
        """The address of its management."""
        return f"http://127.0.0.1:{self._management_port}"

    @classmethod
    @contextmanager
    def started(cls, *, management: bool = False, **config: str | int) -> Iterator[Self]:
        """Run a broker in a temporary folder, for the length of a `with` block.

        Args:
            management: As of the class, and so is *config*.
        """
        with (
            tempfile.TemporaryDirectory(prefix="rabbitmq-") as folder,
            cls.within(Path(folder), management=management, **config) as server,
        ):
            yield server

    @classmethod
    @contextmanager
    def within(cls, folder: Path, *, management: bool = False, **config: str | int) -> Iterator[Self]:
        """Run a broker in *folder*, as `started` does."""
        with (
            _epmd(folder) as epmd_port,
            cls(folder, epmd_port, management=management, **config).serving() as server,
        ):
            yield server


@contextmanager
def _epmd(folder: Path) -> Iterator[int]:
    """Run the name server of Erlang nodes: a broker would start one that outlives it."""
    port = free_port()
    own = folder / "epmd"
    own.mkdir()
    words = ["env", "ERL_EPMD_ADDRESS=127.0.0.1", "epmd", "-port", str(port)]
    epmd = ServerProcess(words, own, partial(answers, port))
    epmd.start()
    try:
        yield port
    finally:
        epmd.stop()


@contextmanager
def _address() -> Iterator[str]:
    with RabbitServer.started(max_message_size=LARGEST_MESSAGE) as server:
        yield server.url
        server.kill()  # it keeps nothing that matters, and takes seconds to stop


@pytest.fixture(scope="session")
def rabbitmq_url(run_folder: Path, request: pytest.FixtureRequest) -> str:
    """Give the address of a broker that all tests share: take names that no other test uses."""
    from ._shared import shared  # not for benchmarks, which start brokers without a run of tests

    return shared(request.config, run_folder / "rabbitmq", _address)


@pytest.fixture
def start_rabbitmq() -> Iterator[Callable[..., RabbitServer]]:
    """Give a function that starts a broker for this test alone; its keywords are settings of rabbitmq.conf."""
    with ExitStack() as servers:
        yield lambda **config: servers.enter_context(RabbitServer.started(**config))
