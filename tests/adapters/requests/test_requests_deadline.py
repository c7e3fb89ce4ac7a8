"""A call that was given no timeout ends; one that was given one is left alone."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import requests

import capa_requests
from capa_core import Runtime, use_runtime
from capa_core.conformance._tolerance import SLOW_MACHINE_S
from capa_core.errors import UnknownNameError

from .conftest import conversing

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
DEADLINE_S = 0.5


@pytest.fixture(autouse=True)
def _short_deadline() -> Iterator[None]:
    with use_runtime(Runtime.in_memory({"adapters": {"requests": {"timeout_s": DEADLINE_S}}})):
        yield


def _silence(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.recv(1)  # until the client hangs up


def _trickle(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(HEAD)
    _drip(connection)


def _trickling_head(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-A: ")
    _drip(connection)


def _slow_body_in_chunks(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n")
    _drip(connection)


def _drip(connection: socket.socket) -> None:
    for _ in range(100):
        connection.sendall(b"x")
        time.sleep(0.1)


def _slow_hops(connection: socket.socket) -> None:
    connection.recv(65536)
    time.sleep(0.3)
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")


@contextmanager
def _ends_in_time() -> Iterator[None]:
    start = time.monotonic()
    yield
    spent_s = time.monotonic() - start
    assert DEADLINE_S <= spent_s + 0.01, "ended before the deadline"
    assert spent_s < DEADLINE_S * 1.1 + SLOW_MACHINE_S


@pytest.mark.parametrize("conversation", [_silence, _trickle, _trickling_head, _slow_hops])
@pytest.mark.parametrize(
    "call", [capa_requests.get, lambda url: capa_requests.Session().get(url)], ids=["get", "session"]
)
def test_a_call_without_a_timeout_ends_at_the_deadline(
    conversation: Callable[[socket.socket], None], call: Callable[[str], Any]
) -> None:
    with conversing(conversation) as url, _ends_in_time(), pytest.raises(requests.RequestException):
        call(url)


def test_the_exception_is_the_timeout_of_the_original_with_the_next_step() -> None:
    with (
        conversing(_silence) as url,
        pytest.raises(requests.ReadTimeout, match="no timeout= was given.*capa.toml"),
    ):
        capa_requests.get(url)


def test_an_adapter_that_is_called_directly_ends_too() -> None:
    with conversing(_silence) as url, _ends_in_time(), pytest.raises(requests.ReadTimeout):
        capa_requests.adapters.HTTPAdapter().send(requests.Request("GET", url).prepare())


def test_a_prepared_request_that_is_sent_without_a_timeout_ends() -> None:
    with conversing(_silence) as url, _ends_in_time(), pytest.raises(requests.ReadTimeout):
        capa_requests.Session().send(requests.Request("GET", url).prepare())


def test_a_call_through_a_proxy_ends() -> None:
    with conversing(_silence) as url, _ends_in_time(), pytest.raises(requests.RequestException):
        capa_requests.get("http://anything.invalid/", proxies={"http": url})


@pytest.mark.parametrize("timeout", [None, 5, (5, 5)])
def test_a_timeout_that_is_given_is_the_only_one(timeout: Any, server: Any) -> None:
    found = capa_requests.get(f"{server.url}/slow/0.8", timeout=timeout)

    assert found.content == b"late"


def test_a_streamed_body_may_take_longer_than_the_deadline() -> None:
    def ten_parts(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        for _ in range(10):
            time.sleep(0.1)
            connection.sendall(b"x")

    with conversing(ten_parts) as url:
        body = b"".join(capa_requests.get(url, stream=True).iter_content(1))

    assert body == b"x" * 10


def test_a_streamed_body_that_stops_coming_ends_the_call() -> None:
    def half(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(HEAD + b"half")
        connection.recv(1)

    with conversing(half) as url:
        response = capa_requests.get(url, stream=True)
        with _ends_in_time(), pytest.raises(requests.ConnectionError):
            list(response.iter_content(10))


@pytest.mark.parametrize("conversation", [_trickle, _trickling_head, _slow_body_in_chunks])
def test_a_call_that_trickles_names_its_host_and_the_setting(
    conversation: Callable[[socket.socket], None],
) -> None:
    with (
        conversing(conversation) as url,
        pytest.raises(requests.RequestException, match=r"host='127\.0\.0\.1'.*timeout_s under .*capa\.toml"),
    ):
        capa_requests.get(url)


LONGEST = {"adapters": {"requests": {"longest_s": DEADLINE_S}}}


@pytest.mark.parametrize("conversation", [_silence, _trickle, _trickling_head, _slow_hops])
@pytest.mark.parametrize("timeout", [None, 5, (5, 5)], ids=str)
def test_a_limit_for_every_call_holds_whatever_timeout_is_given(
    conversation: Callable[[socket.socket], None], timeout: Any
) -> None:
    with (
        use_runtime(Runtime.in_memory(LONGEST)),
        conversing(conversation) as url,
        _ends_in_time(),
        pytest.raises(requests.RequestException),
    ):
        capa_requests.get(url, timeout=timeout)


def test_the_limit_for_every_call_is_named_with_its_setting() -> None:
    with (
        use_runtime(Runtime.in_memory(LONGEST)),
        conversing(_silence) as url,
        pytest.raises(requests.ReadTimeout, match=r"longest_s .*capa.toml"),
    ):
        capa_requests.get(url, timeout=5)


@pytest.mark.parametrize("stream", [False, True])
def test_the_limit_is_named_for_a_body_too(stream: bool) -> None:
    with (
        use_runtime(Runtime.in_memory(LONGEST)),
        conversing(_trickle) as url,
        pytest.raises(requests.ConnectionError, match=r"host='127\.0\.0\.1'.*longest_s under .*capa\.toml"),
    ):
        capa_requests.get(url, timeout=5, stream=stream).content  # noqa: B018 - the property reads the body


@pytest.mark.parametrize("options", [{}, {"timeout": 5}, {"timeout": None}], ids=str)
def test_a_limit_for_every_call_holds_for_a_streamed_body(options: Any) -> None:
    with use_runtime(Runtime.in_memory(LONGEST)), conversing(_trickle) as url, _ends_in_time():
        response = capa_requests.get(url, stream=True, **options)
        with pytest.raises(requests.ConnectionError):
            list(response.iter_content(10))


def test_a_limit_for_every_call_holds_through_a_proxy() -> None:
    with (
        use_runtime(Runtime.in_memory(LONGEST)),
        conversing(_silence) as url,
        _ends_in_time(),
        pytest.raises(requests.RequestException),
    ):
        capa_requests.get("http://anything.invalid/", proxies={"http": url}, timeout=5)


def test_a_timeout_below_the_limit_for_every_call_is_the_one_that_ends_it() -> None:
    with (
        use_runtime(Runtime.in_memory({"adapters": {"requests": {"longest_s": 30}}})),
        conversing(_silence) as url,
        pytest.raises(requests.ReadTimeout, match="read timeout=0.2"),
    ):
        capa_requests.get(url, timeout=0.2)


def test_a_streamed_body_of_a_service_that_stops_coming_ends_the_call() -> None:
    with conversing(_stopping_half_way) as url:
        tree = {"invocation": {"orders": {"driver": "http", "url": url}}}
        with Runtime.in_memory(tree) as runtime, use_runtime(runtime):
            response = capa_requests.get("http://orders/", stream=True, timeout=DEADLINE_S)
            with _ends_in_time(), pytest.raises(requests.ConnectionError):
                list(response.iter_content(10))


@pytest.mark.parametrize("host", ["", "http://orders"], ids=["address", "service"])
def test_a_given_timeout_is_for_each_wait_and_not_for_the_whole_body(host: str) -> None:
    asked = []

    def in_parts(connection: socket.socket) -> None:
        while request := connection.recv(65536):
            asked.append(request)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
            for _ in range(12):
                time.sleep(0.1)
                connection.sendall(b"x")

    with conversing(in_parts) as url:
        tree = {"invocation": {"orders": {"driver": "http", "url": url}}}
        with Runtime.in_memory(tree) as runtime, use_runtime(runtime), capa_requests.Session() as session:
            bodies = [session.get(host or url, timeout=1).content for _ in range(2)]  # on one connection

    assert [b"x" * 12] * 2 == bodies


@pytest.mark.parametrize(
    ("table", "timeout"),
    [({}, DEADLINE_S), ({"timeout_s": DEADLINE_S}, 60)],
    ids=["of the call", "of the service"],
)
def test_a_body_of_a_service_that_stops_coming_ends_the_call_at_its_timeout(
    table: dict[str, float], timeout: float
) -> None:
    with conversing(_stopping_half_way) as url:
        tree = {"invocation": {"orders": {"driver": "http", "url": url, **table}}}
        with (
            Runtime.in_memory(tree) as runtime,
            use_runtime(runtime),
            _ends_in_time(),
            pytest.raises(
                requests.ConnectionError,
                match=r"^orders: Read timed out: no more .*timeout_s of \[invocation\.orders\]",
            ),
        ):
            capa_requests.get("http://orders/", timeout=timeout)


@pytest.mark.parametrize("conversation", [_silence, _trickle])
@pytest.mark.parametrize("key", ["timeout_s", "longest_s"])
def test_the_deadline_of_a_call_to_a_service_is_named_with_its_setting(
    conversation: Callable[[socket.socket], None], key: str
) -> None:
    with conversing(conversation) as url:
        services = {"orders": {"driver": "http", "url": url}}
        tree = {"invocation": services, "adapters": {"requests": {key: DEADLINE_S}}}
        with (
            Runtime.in_memory(tree) as runtime,
            use_runtime(runtime),
            pytest.raises(requests.ReadTimeout, match=rf"^orders: .*{key} under .*capa\.toml"),
        ):
            capa_requests.get("http://orders/")


@pytest.mark.parametrize("options", [{}, {"timeout": 60}, {"timeout": None}], ids=str)
def test_a_service_has_the_time_for_a_try_that_its_table_gives(options: dict[str, Any]) -> None:
    with conversing(_silence) as url:
        tree = {"invocation": {"orders": {"driver": "http", "url": url, "timeout_s": DEADLINE_S}}}
        with (
            Runtime.in_memory(tree) as runtime,
            use_runtime(runtime),
            _ends_in_time(),
            pytest.raises(requests.ReadTimeout, match=r"timeout_s .*under \[invocation\.orders\]"),
        ):
            capa_requests.post("http://orders/", **options)


def _stopping_half_way(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(HEAD + b"half")
    connection.recv(1)


def test_a_limit_for_every_call_holds_for_the_streamed_body_of_a_service() -> None:
    with conversing(_trickle) as url:
        tree = {"invocation": {"orders": {"driver": "http", "url": url}}, **LONGEST}
        with Runtime.in_memory(tree) as runtime, use_runtime(runtime), _ends_in_time():
            response = capa_requests.get("http://orders/", stream=True, timeout=5)
            with pytest.raises(requests.ConnectionError, match=r"^orders: .*longest_s under .*capa\.toml"):
                list(response.iter_content(1))


def test_a_call_within_a_call_has_a_deadline_of_its_own(server: Any) -> None:
    def ask_again(response: Any, **_: Any) -> None:
        inner.append(capa_requests.get(f"{server.url}/slow/0.4").content)

    inner: list[bytes] = []

    with suppress(requests.ConnectionError):  # the outer call is out of time by then
        capa_requests.get(f"{server.url}/slow/0.3", hooks={"response": ask_again})

    assert inner == [b"late"]


def test_no_deadline_can_be_set() -> None:
    without = Runtime.in_memory({"adapters": {"requests": {"timeout_s": 0}}})
    with (
        use_runtime(without),
        conversing(_silence) as url,
        pytest.raises(requests.ReadTimeout, match="timeout=0.2"),
    ):
        capa_requests.get(url, timeout=0.2)


def test_an_unknown_setting_is_named_with_the_nearest_match(server: Any) -> None:
    wrong = Runtime.in_memory({"adapters": {"requests": {"timeout": 3}}})
    with use_runtime(wrong), pytest.raises(UnknownNameError, match="timeout_s"):
        capa_requests.get(server.url)
