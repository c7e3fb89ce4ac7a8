"""A server that answers byte by byte: a call of AWS ends within its time, and its connection is used no more."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from certificates import make_certificate
from tcp_proxy import TcpProxy
from urllib3.exceptions import ConnectTimeoutError

from capa_core.blocks.configuration import Scope
from capa_core.blocks.files import Files
from capa_core.blocks.files.driver import FilePut
from capa_core.components.aws import _connections, _deadline
from capa_core.components.aws._client import Clients
from capa_core.components.aws._errors import name_error
from capa_core.components.aws._settings import AwsSettings
from capa_core.components.aws.appconfig import AppConfigConfiguration, AppConfigSettings
from capa_core.components.aws.s3 import S3Files, S3FilesSettings
from capa_core.components.aws.secretsmanager import SecretsManager
from capa_core.components.aws.sns import SnsPubSub
from capa_core.components.aws.sqs import SqsPubSub
from capa_core.components.aws.ssm import SsmConfiguration
from capa_core.conformance._tolerance import SLOW_MACHINE_S
from capa_core.errors import UnavailableError

pytestmark = pytest.mark.timeout(60, func_only=True)

TIMEOUT_S = 0.4
MIB = 1024**2
BODY = b'{"Parameters":[]}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\n"
WHOLE = HEAD + b"Content-Length: 17\r\n\r\n" + BODY
DRIPS = {
    "status line": b"",
    "head": HEAD,
    "body": HEAD + b"Content-Length: 400\r\n\r\n{",
    "chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n400\r\n{",
    "length of a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
}


class Peer:
    """A server that answers a whole answer, or *head* and then a byte each tenth of a second.

    Attributes:
        head: The part that comes at once; `None` for a whole answer.
        connections: How many were accepted.
    """

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.head: bytes | None = None
        self.connections = 0
        self._context = context
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()

    def _accept(self) -> None:
        with self._listener:
            while True:
                connection, _ = self._listener.accept()
                if self._over.is_set():
                    connection.close()
                    return
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, self._secured(connection) as secured:
            while _request(secured):
                secured.sendall(WHOLE if self.head is None else self.head)
                while self.head is not None and not self._over.wait(TIMEOUT_S / 4):
                    secured.sendall(b"0")

    def _secured(self, connection: socket.socket) -> socket.socket:
        return self._context.wrap_socket(connection, server_side=True) if self._context else connection


def _request(connection: socket.socket) -> bytes:
    """Return a request, or nothing at the end."""
    request = b""
    while not request.endswith(b'["a"]}'):
        if not (more := connection.recv(65_536)):
            return b""
        request += more
    return request


@pytest.fixture(params=["http", "https"])
def peer(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Peer, Clients]]:
    context = None
    if request.param == "https":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*make_certificate(tmp_path))
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "cert.pem"))
    one = Peer(context)
    own = {"region": "eu-west-1", "access_key_id": "a", "secret_access_key": "b", "timeout_s": TIMEOUT_S}
    clients = Clients(AwsSettings(endpoint_url=f"{request.param}://127.0.0.1:{one.port}", **own))
    yield one, clients
    clients.close()
    one.close()


def ask(clients: Clients) -> object:
    return clients.call("ssm", "GetParameters", Names=["a"])


def assert_in_time(call: Callable[[], object]) -> None:
    """Assert that *call* ends with the error of a service that does not answer, a tenth above its time at most."""
    started = time.monotonic()
    with pytest.raises(Exception) as raised:
        call()
    took_s = time.monotonic() - started

    assert UnavailableError is name_error(raised.value), raised.value
    assert took_s < 1.1 * TIMEOUT_S + SLOW_MACHINE_S


@pytest.mark.parametrize("part", DRIPS)
def test_an_answer_that_drips_is_cut_off_and_the_next_call_has_another_connection(peer, part):
    server, clients = peer
    ask(clients)
    server.head = DRIPS[part]
    assert_in_time(lambda: ask(clients))
    server.head = None

    assert {"ResponseMetadata", "Parameters"} == ask(clients).keys()
    ask(clients)
    assert 2 == server.connections


@pytest.fixture
def proxy(moto_url: str) -> Iterator[TcpProxy]:
    with TcpProxy.to(int(moto_url.rpartition(":")[2])) as proxy:
        yield proxy


CALLS = {
    "configuration of SSM": (SsmConfiguration, {"prefix": "/a/"}, lambda one: one.get(Scope())),
    "secret": (SecretsManager, {}, lambda one: one.get("a", None)),
    "file": (S3Files, {"bucket": "b"}, lambda one: one.stat("a")),
    "new file": (S3Files, {"bucket": "b"}, lambda one: one.put(PUT, iter([b"x" * 1000]))),
    "queue": (SqsPubSub, {}, lambda one: one.consume("a", "b", lease_s=5)),
    "topic": (SnsPubSub, {}, lambda one: one.consume("a", "b", lease_s=5)),
}
PUT = FilePut(key="a")


@pytest.mark.server("aws")
@pytest.mark.parametrize(("kind", "own", "call"), CALLS.values(), ids=CALLS)
def test_each_service_ends_in_time(proxy, aws_credentials, kind, own, call):
    url = f"http://127.0.0.1:{proxy.port}"
    driver = kind(kind.settings_type(endpoint_url=url, timeout_s=TIMEOUT_S, **own))
    proxy.trickle(0.75 * TIMEOUT_S)
    assert_in_time(lambda: call(driver))
    driver.close()


@pytest.mark.server("appconfig")
def test_the_content_of_appconfig_ends_in_time(appconfig, aws_credentials):
    appconfig.release("application", '{"a": 1}')
    with TcpProxy.to(appconfig.port) as proxy:
        own = {"application": "app", "environment": "test", "timeout_s": TIMEOUT_S}
        settings = AppConfigSettings(endpoint_url=f"http://127.0.0.1:{proxy.port}", **own)
        driver = AppConfigConfiguration(settings)
        proxy.trickle(0.75 * TIMEOUT_S)
        assert_in_time(lambda: driver.get(Scope()))
        driver.close()


@pytest.mark.server("aws")
def test_a_file_that_drips_after_its_begin_ends_in_time_and_goes_on_where_it_was(
    proxy, aws, bucket, aws_credentials
):
    content = bytes(range(256)) * 40_000
    aws("s3").put_object(Bucket=bucket, Key="a", Body=content)
    url = f"http://127.0.0.1:{proxy.port}"
    driver = S3Files(S3FilesSettings(endpoint_url=url, bucket=bucket, timeout_s=TIMEOUT_S))
    stream = driver.open("a", 0, None, None)
    proxy.trickle(0.75 * TIMEOUT_S)
    assert_in_time(lambda: list(iter(lambda: stream.read(MIB), b"")))
    stream.close()
    proxy.speak()

    with Files(driver) as files:
        assert content == files.get("a")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A list with the time."""
    now = [100.0]
    monkeypatch.setattr(_deadline, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.mark.parametrize("renews", [True, False])
def test_the_content_of_a_file_has_its_time_for_each_64_kib(clock, renews):
    sender, receiver = socket.socketpair()
    receiver = _connections._Socket(receiver.family, receiver.type, receiver.proto, receiver.detach())
    file = receiver.makefile("rb")
    read = 0
    with sender, receiver, file, _deadline.Limit(10.0, renews=renews), contextlib.suppress(TimeoutError):
        for _ in range(5):
            sender.sendall(bytes(65_536))
            read += len(file.read(65_536))
            clock[0] += 9.0

    assert 65_536 * (5 if renews else 2) == read


def test_all_addresses_of_a_name_together_have_the_time_of_one(monkeypatch, clock):
    tried = []

    def connected(address: tuple[str, int], timeout: float, **_: object) -> socket.socket:
        tried.append((address[0], timeout))
        clock[0] += timeout / 2
        raise TimeoutError

    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{n}", 80)) for n in (1, 2, 3)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr("urllib3.util.connection.create_connection", connected)
    connection = _connections._HttpConnection("many.localhost", 80, timeout=8.0)
    with _deadline.Limit(8.0), pytest.raises(ConnectTimeoutError):
        connection.connect()

    assert [("127.0.0.1", 8.0), ("127.0.0.2", 4.0), ("127.0.0.3", 2.0)] == tried
    assert "many.localhost" == connection.host


def test_the_applications_own_client_is_boto3s(peer):
    _, clients = peer
    pools = clients.native("ssm")._endpoint.http_session._manager.pool_classes_by_scheme

    assert not {_connections._HttpPool, _connections._HttpsPool} & set(pools.values())
