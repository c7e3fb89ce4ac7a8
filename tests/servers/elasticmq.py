"""ElasticMQ for tests: an independent implementation of SQS, one for all workers, and servers to break."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from ._process import ServerProcess, answers, free_port
from ._program import Program

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
_VERSION = "1.7.1"
PROGRAM = Program(
    "elasticmq",
    str(_CACHE / f"capa-servers/elasticmq-{_VERSION}/run"),
    install="bash .ci/set-up engines",
    version_command=("echo", _VERSION),  # it prints none
)
_START_TIMEOUT_S = 60.0
_CONFIG = """
include classpath("application.conf")
node-address {{ protocol = http, host = 127.0.0.1, port = {port}, context-path = "" }}
rest-sqs {{ enabled = true, bind-port = {port}, bind-hostname = "127.0.0.1", sqs-limits = strict }}
rest-stats {{ enabled = false }}
messages-storage {{ enabled = {durable}, uri = "jdbc:h2:{folder}/messages;WRITE_DELAY=0" }}
queues-storage {{ enabled = {durable}, path = "{folder}/queues.conf" }}
"""


class ElasticServer(ServerProcess):
    """ElasticMQ on loopback; with *durable* it keeps queues and messages on the disk."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self.port = free_port()
        told = {"port": self.port, "folder": folder, "durable": str(durable).lower()}
        (folder / "e.conf").write_text(_CONFIG.format(**told))
        options = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
        words = [PROGRAM.require(), *options, f"-Dconfig.file={folder}/e.conf"]
        super().__init__(
            [*words, "org.elasticmq.server.Main"],
            folder,
            partial(answers, self.port),
            start_timeout_s=_START_TIMEOUT_S,
        )

    @property
    def url(self) -> str:
        """Its address, for `endpoint_url`."""
        return f"http://127.0.0.1:{self.port}"

    @classmethod
    @contextmanager
    def started(cls, *, durable: bool = False) -> Iterator[Self]:
        """Run one in a temporary folder, for the length of a `with` block."""
        with (
            tempfile.TemporaryDirectory(prefix="elasticmq-") as folder,
            cls(Path(folder), durable=durable).serving() as server,
        ):
            yield server


@contextmanager
def _address() -> Iterator[str]:
    with ElasticServer.started() as server:
        yield server.url


@pytest.fixture(scope="session")
def elasticmq_url(run_folder: Path, request: pytest.FixtureRequest) -> str:
    """Give the address of a server that all tests share: take names that no other test uses."""
    from ._shared import shared  # not for benchmarks, which start servers without a run of tests

    return shared(request.config, run_folder / "elasticmq", _address)


@pytest.fixture
def start_elasticmq() -> Iterator[Callable[..., ElasticServer]]:
    """Give a function that starts a server for this test alone; `durable=True` keeps its messages."""
    with ExitStack() as servers:
        yield lambda **config: servers.enter_context(ElasticServer.started(**config))
