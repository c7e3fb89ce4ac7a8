"""Kafka for tests: one broker for all workers, and brokers to break."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from ._process import ServerProcess, free_port
from ._program import Program

_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
_FOLDER = _CACHE / "capa-servers/kafka-4.4.0"
PROGRAM = Program(
    "kafka",
    str(_FOLDER / "run"),
    install="bash .ci/set-up engines",
    version_command=("basename", str(_FOLDER)),  # the program itself takes seconds to say it
)
LARGEST_RECORD = 2 * 1024**2
"""The limit of the brokers, above the default, so that a setting of the component can be below and above it."""
USER, PASSWORD = "me", "hunter2"
"""The user of a broker that asks for one, and its password."""
_START_TIMEOUT_S = 120.0
_CLUSTER = "4L6g3nShT-eMCtK--X86sw"
_JVM = "-Xms128m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData"
_LOGGING = """\
<Configuration status="OFF">
  <Appenders><Console name="out"><PatternLayout pattern="%d %p %m (%c)%n%throwable"/></Console></Appenders>
  <Loggers>
    <Root level="WARN"><AppenderRef ref="out"/></Root>
    <Logger name="kafka.server.KafkaRaftServer" level="INFO"/>
  </Loggers>
</Configuration>
"""
_READY = b"Kafka Server started"
_ONE_NODE = {
    f"{name}.{setting}": 1
    for name in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
    for setting in ("num.partitions", "replication.factor", "min.isr")
    if (name, setting) != ("offsets.topic", "min.isr")
}


class KafkaServer(ServerProcess):
    """A Kafka broker on loopback, its own controller.

    Attributes:
        proxies: More ports on which it listens, each with the port that it tells those who come there: a proxy's.
    """

    def __init__(
        self,
        folder: Path,
        *,
        sasl: str = "",
        port: int = 0,
        advertised_port: int = 0,
        proxies: int = 0,
        **config: str | int,
    ) -> None:
        self.port, controller = port or free_port(), free_port()
        protocol = "SASL_PLAINTEXT" if sasl else "PLAINTEXT"
        self.proxies = [(free_port(), free_port()) for _ in range(proxies)]
        settings: dict[str, str | int] = {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"{protocol}://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"{protocol}://127.0.0.1:{advertised_port or self.port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": protocol,
            "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,{protocol}:{protocol}",
            "log.dirs": str(folder / "data"),
            "message.max.bytes": LARGEST_RECORD,
            "group.initial.rebalance.delay.ms": 0,
            # After a kill, the controller lets it come back when its session is over.
            "broker.session.timeout.ms": 6000,
            "broker.heartbeat.interval.ms": 500,
            "group.min.session.timeout.ms": 1000,
            # Records of tests have times long ago: the broker would remove them meanwhile.
            "log.retention.check.interval.ms": 3_600_000,
            "log.initial.task.delay.ms": 3_600_000,
            **_ONE_NODE,
            **(_user_settings(sasl) if sasl else {}),
            **{name.replace("__", "."): value for name, value in config.items()},
        }
        for name, values in _listeners(self.proxies, protocol).items():
            settings[name] = ",".join([str(settings[name]), *values])
        (folder / "server.properties").write_text("".join(f"{k}={v}\n" for k, v in settings.items()))
        (folder / "log4j2.xml").write_text(_LOGGING)
        self._output = folder / "output.log"
        self._begins_at = 0
        variables = {"JDK_JAVA_OPTIONS": f"{_JVM} -Dlog4j2.configurationFile={folder}/log4j2.xml"}
        words = ["env", *(f"{name}={value}" for name, value in variables.items()), PROGRAM.require()]
        _format(folder, words, sasl)
        super().__init__(
            [*words, "kafka.Kafka", "server.properties"],
            folder,
            self._has_started,
            start_timeout_s=_START_TIMEOUT_S,
        )

    @property
    def url(self) -> str:
        """Its address, without user and password."""
        return f"kafka://127.0.0.1:{self.port}"

    @property
    def servers(self) -> str:
        """Its address as Kafka's own clients take it."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, again too, and wait until it answers."""
        self._begins_at = self._output.stat().st_size if self._output.exists() else 0
        super().start()

    @classmethod
    @contextmanager
    def started(cls, **config: str | int) -> Iterator[Self]:
        """Run a broker in a temporary folder, for the length of a `with` block.

        Args:
            config: Settings of server.properties, with double underscores for dots. Of its own are `sasl`, the
                mechanism by which clients say who they are, such as `PLAIN`; `port`; `advertised_port`, which the
                broker tells its clients; and `proxies`, how many pairs of ports the attribute of that name has.
        """
        with (
            tempfile.TemporaryDirectory(prefix="kafka-") as folder,
            cls(Path(folder), **config).serving() as server,
        ):
            yield server

    def _has_started(self) -> bool:
        with self._output.open("rb") as output:
            output.seek(self._begins_at)
            return _READY in output.read()


def _format(folder: Path, words: list[str], sasl: str) -> None:
    """Make the folder of the broker's data; one without users is a copy, as a JVM takes seconds for it."""
    made = _FOLDER / "formatted"
    if not sasl and made.exists():
        shutil.copytree(made, folder / "data")
        return
    scram = ["--add-scram", f"{sasl}=[name={USER},password={PASSWORD}]"] if sasl.startswith("SCRAM") else []
    subprocess.run(
        [*words, "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", "server.properties", *scram],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=_START_TIMEOUT_S,
    )
    if not sasl:
        own = Path(tempfile.mkdtemp(dir=_FOLDER))
        shutil.copytree(folder / "data", own / "data")
        with suppress(OSError):  # another worker was faster
            (own / "data").rename(made)
        shutil.rmtree(own)


def _listeners(proxies: list[tuple[int, int]], protocol: str) -> dict[str, list[str]]:
    """Return what is added to settings of listeners: one for each proxy."""
    listeners = [(f"PROXY{number}", *ports) for number, ports in enumerate(proxies)]
    return {
        "listeners": [f"{name}://127.0.0.1:{port}" for name, port, _ in listeners],
        "advertised.listeners": [f"{name}://127.0.0.1:{proxy}" for name, _, proxy in listeners],
        "listener.security.protocol.map": [f"{name}:{protocol}" for name, *_ in listeners],
    }


def _user_settings(sasl: str) -> dict[str, str]:
    module = "plain.Plain" if sasl == "PLAIN" else "scram.Scram"
    users = f' user_{USER}="{PASSWORD}"' if sasl == "PLAIN" else ""
    login = f'username="{USER}" password="{PASSWORD}"{users}'
    return {
        "sasl.enabled.mechanisms": sasl,
        "sasl.mechanism.inter.broker.protocol": sasl,
        f"listener.name.sasl_plaintext.{sasl.lower()}.sasl.jaas.config": (
            f"org.apache.kafka.common.security.{module}LoginModule required {login};"
        ),
    }


@contextmanager
def _address() -> Iterator[str]:
    with KafkaServer.started() as server:
        yield server.url
        server.kill()  # it keeps nothing that matters, and takes seconds to stop


@pytest.fixture(scope="session")
def kafka_url(run_folder: Path, request: pytest.FixtureRequest) -> str:
    """Give the address of a broker that all tests share: take names that no other test uses."""
    from ._shared import shared  # not for benchmarks, which start brokers without a run of tests

    return shared(request.config, run_folder / "kafka", _address)


@pytest.fixture
def start_kafka() -> Iterator[Callable[..., KafkaServer]]:
    """Give a function that starts a broker for this test alone, with the arguments of `KafkaServer.started`."""
    with ExitStack() as servers:
        yield lambda **config: servers.enter_context(KafkaServer.started(**config))
