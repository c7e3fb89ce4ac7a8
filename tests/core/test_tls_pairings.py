"""A client with TLS on a port without it, and the reverse: each error names the place and the way out.

The servers are real; TLS is in front of them, as a load balancer or stunnel has it.
"""

import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from tls_proxy import TlsProxy

from capa_core.blocks.configuration import Configuration
from capa_core.blocks.log import Log
from capa_core.blocks.pubsub import PubSub
from capa_core.blocks.state import State
from capa_core.components.apollo.configuration import ApolloConfiguration
from capa_core.components.etcd.state import EtcdState
from capa_core.components.kafka.log import KafkaLog
from capa_core.components.nacos.configuration import NacosConfiguration
from capa_core.components.nats.state import NatsState
from capa_core.components.postgres.state import PostgresState
from capa_core.components.rabbitmq.pubsub import RabbitPubSub
from capa_core.components.redis.state import RedisState
from capa_core.components.zookeeper.state import ZookeeperState
from capa_core.conformance._tolerance import SLOW_MACHINE_S, wait_until
from capa_core.errors import DeadlineError, PermissionDeniedError, UnavailableError

pytestmark = pytest.mark.timeout(120)


class Engine(NamedTuple):
    """A component on an engine.

    Attributes:
        address: The fixture with the address of its server.
        settings: Settings for a port of loopback, with and without TLS.
        in_plain: The error of a client without TLS, with what it says behind the address; `with_tls` that of the other.
        is_silent: Whether it hears nothing before its time is over, without TLS and with it.
    """

    address: str
    driver: type[Any]
    portable: type[Any]
    settings: Callable[[int, bool], dict[str, Any]]
    in_plain: tuple[type[Exception], str]
    with_tls: tuple[type[Exception], str]
    is_silent: tuple[bool, bool] = (False, False)


def _postgres(port: int, tls: bool) -> dict[str, Any]:
    return {"url": f"postgresql://127.0.0.1:{port}/x?sslmode={'require' if tls else 'disable'}"}


def _http(port: int, tls: bool) -> dict[str, Any]:
    return {"url": (f"http{'s' * tls}://127.0.0.1:{port}",)}


HTTP = (UnavailableError, "before any answer. Where the port takes TLS alone, write https://")
HTTPS = (UnavailableError, "The server may have no TLS there: correct the port; .* write http://")

ENGINES = {
    "redis": Engine(
        "redis_url",
        RedisState,
        State,
        lambda port, tls: {"url": f"redis{'s' * tls}://127.0.0.1:{port}"},
        (
            UnavailableError,
            "gives no answer of Redis: .*Check the port; where it takes TLS alone, write rediss://",
        ),
        (DeadlineError, "no handshake of TLS .*may have no TLS there. Correct the port; .* write redis://"),
        (False, True),
    ),
    "postgres": Engine(
        "postgres_url",
        PostgresState,
        State,
        _postgres,
        (UnavailableError, "Check host and port of `url`: .*or TLS from the first byte"),
        (UnavailableError, "does not support SSL.* drop `sslmode`"),
    ),
    "nats": Engine(
        "nats_url",
        NatsState,
        State,
        lambda port, tls: {"url": f"{'tls' if tls else 'nats'}://127.0.0.1:{port}"},
        (DeadlineError, "check host and port; where it speaks TLS from the first byte, write tls://"),
        (UnavailableError, "the server has no TLS.* write nats://"),
        (True, False),
    ),
    "rabbitmq": Engine(
        "rabbitmq_url",
        RabbitPubSub,
        PubSub,
        lambda port, tls: {"url": f"amqp{'s' * tls}://127.0.0.1:{port}"},
        (UnavailableError, "ended the connection before it was open: .*takes TLS alone, write amqps://"),
        (UnavailableError, "the broker may have no TLS there. Correct the port of `url`; .* write amqp://"),
    ),
    "kafka": Engine(
        "kafka_url",
        KafkaLog,
        Log,
        lambda port, tls: {"url": f"kafka{'s' * tls}://127.0.0.1:{port}"},
        (UnavailableError, "Check that the brokers run, .*where the port takes TLS alone, write kafkas://"),
        (
            UnavailableError,
            "SSL (handshake failed|connection closed by peer).*: .*for a broker without TLS, write kafka://",
        ),
        (True, True),
    ),
    "etcd": Engine("etcd_url", EtcdState, State, _http, HTTP, HTTPS),
    "zookeeper": Engine(
        "zookeeper_hosts",
        ZookeeperState,
        State,
        lambda port, tls: {"hosts": f"127.0.0.1:{port}", "tls": tls},
        (DeadlineError, "Check that it runs, `hosts`, and `tls`, which is off"),
        (DeadlineError, "Check that it runs, `hosts`, and `tls`, which is on"),
        (True, True),
    ),
    "nacos": Engine("nacos_url", NacosConfiguration, Configuration, _http, HTTP, HTTPS),
    "apollo": Engine(
        "apollo_url",
        ApolloConfiguration,
        Configuration,
        lambda port, tls: _http(port, tls) | {"app_id": "a"},
        HTTP,
        HTTPS,
    ),
}
SERVERS = [pytest.param(name, marks=pytest.mark.server(name)) for name in ENGINES]


@pytest.fixture
def etcd_url(etcd_server):
    return etcd_server.url


@pytest.fixture
def apollo_url(apollo):
    return apollo.url


@pytest.fixture
def port_of(request):
    """Give a function that returns the port of the server of an engine."""
    return lambda engine: int(request.getfixturevalue(engine.address).rpartition(":")[2].partition("/")[0])


@pytest.mark.parametrize("name", SERVERS)
def test_a_client_without_tls_is_told_that_the_port_takes_it_alone(name, port_of, tmp_path):
    engine = ENGINES[name]
    with TlsProxy.to(port_of(engine), tmp_path) as proxy:
        assert_refused(engine, proxy.port, tls=False)


@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <ssl.SSLSocket"
)  # kazoo closes none whose handshake failed
@pytest.mark.parametrize("name", SERVERS)
def test_a_client_with_tls_is_told_that_the_port_has_none(name, port_of):
    engine = ENGINES[name]
    assert_refused(engine, port_of(engine), tls=True)
    gc.collect()


@pytest.mark.server("postgres")
def test_a_postgres_that_takes_tls_alone_is_told(start_postgres):
    server = start_postgres()
    with psycopg.connect(server.url, autocommit=True) as operator:
        ((rules,),) = operator.execute("SHOW hba_file").fetchall()
        Path(rules).write_text("hostssl all all 127.0.0.1/32 trust\n")
        operator.execute("SELECT pg_reload_conf()")
        wait_until(lambda: _refuses(server.url))
    state = State(PostgresState(PostgresState.settings_type(url=server.url)))
    with (
        state,
        pytest.raises(PermissionDeniedError, match=r"127\.0\.0\.1.*no encryption. Add `\?sslmode=require`"),
    ):
        state.ping()


def _refuses(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return True
    return False


def assert_refused(engine: Engine, port: int, *, tls: bool) -> None:
    timeout_s = 2.0 if engine.is_silent[tls] else 10.0
    driver = engine.driver(engine.driver.settings_type(**engine.settings(port, tls), timeout_s=timeout_s))
    kind, said = engine.with_tls if tls else engine.in_plain
    with engine.portable(driver) as component:
        begin = time.monotonic()
        with pytest.raises(kind, match=rf"(?s)failed: .*127\.0\.0\.1\D{{1,8}}{port}.*{said}"):
            component.ping()

    assert time.monotonic() - begin < timeout_s + SLOW_MACHINE_S
