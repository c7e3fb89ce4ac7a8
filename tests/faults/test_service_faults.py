"""Services under stress: connections without a request, callers that do not read, and their own end."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from capa_core.blocks.invocation import Service, _waitress
from capa_core.blocks.invocation._served import Served
from capa_core.conformance._tolerance import SLOW_MACHINE_S


def _service() -> Service:
    service = Service("shop")
    service.register("hello", lambda _call: "hello")
    service.register("size", lambda call: str(len(call.data)))
    return service


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    with ExitStack() as open_ones:
        yield lambda service=None, **options: open_ones.enter_context(
            (service or _service()).serve(**options)
        )


def _connected(served: Served, sent: bytes = b"") -> socket.socket:
    address = urlsplit(served.url)
    connection = socket.create_connection((address.hostname, address.port), 10)
    connection.sendall(sent)
    return connection


def _asked(served: Served) -> tuple[int, float]:
    """Return the status of a good caller's request, and the seconds that it took."""
    start = time.monotonic()
    with closing(HTTPConnection(urlsplit(served.url).netloc, timeout=10)) as caller:
        caller.request("GET", "/hello")
        status = caller.getresponse().status
    return status, time.monotonic() - start


def _is_closed(connection: socket.socket) -> bool:
    connection.settimeout(10)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.quiet
def test_a_thousand_connections_without_a_request_do_not_hold_up_a_good_caller(serve, many_descriptors):
    served = serve()
    with ExitStack() as open_ones:
        half_open = [
            open_ones.enter_context(closing(_connected(served, b"GET /hello HTTP/1.1\r\nX-A: ")))
            for _ in range(1000)
        ]
        statuses = []
        for round_ in range(5):
            for connection in half_open[round_::5]:
                connection.sendall(b"a")  # the next byte of the head
            statuses.append(_asked(served))
        started = time.monotonic()
        served.close()
        end_s = time.monotonic() - started

    assert [200] * 5 == [status for status, _ in statuses]
    assert max(seconds for _, seconds in statuses) < 1 + SLOW_MACHINE_S
    assert end_s < 2 + SLOW_MACHINE_S


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 5000 if hard == resource.RLIM_INFINITY else min(5000, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "sent", [b"", b"GET /hello HT", b"POST /size HTTP/1.1\r\nContent-Length: 9\r\n\r\nbody"]
)
def test_at_the_limit_the_connection_that_waits_longest_makes_room(serve, sent):
    served = serve(connections=10)
    with ExitStack() as open_ones:
        waiting = [open_ones.enter_context(closing(_connected(served, sent))) for _ in range(30)]
        status, _ = _asked(served)

        assert 200 == status
        assert [True] * 19 == [_is_closed(one) for one in waiting[:19]]


def test_a_head_that_trickles_ends_at_its_time(serve, monkeypatch):
    monkeypatch.setattr(_waitress, "HEAD_S", 0.5)
    served = serve()
    with closing(_connected(served, b"GET /hello HTTP/1.1\r\nX-A: ")) as trickling, pytest.raises(OSError):
        _trickle(trickling)


def _trickle(connection: socket.socket) -> None:
    for _ in range(100):
        connection.sendall(b"a")
        time.sleep(0.1)


def test_a_connection_that_pauses_too_long_is_closed(serve, monkeypatch):
    monkeypatch.setattr(_waitress, "IDLE_S", 0.5)
    served = serve()
    with closing(_connected(served)) as silent:
        assert _is_closed(silent)


def test_callers_that_do_not_read_give_the_threads_back(serve, monkeypatch):
    monkeypatch.setattr(_waitress, "IDLE_S", 0.5)
    service = _service()
    service.register("big", lambda _call: b"x" * 30_000_000)
    served = serve(service, threads=2)
    with ExitStack() as open_ones:
        for _ in range(4):
            open_ones.enter_context(closing(_connected(served, b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")))

        assert 200 == _asked(served)[0]


def test_requests_that_run_when_a_server_closes_get_their_whole_answer(serve):
    service, running, closing_now = Service("shop"), threading.Barrier(5), threading.Event()

    def slow(_call: object) -> bytes:
        running.wait(10)
        closing_now.wait(10)
        time.sleep(0.2)  # so that the server closes meanwhile
        return b"x" * 5_000_000

    service.register("slow", slow)
    served = serve(service)

    def ask() -> int:
        with closing(HTTPConnection(urlsplit(served.url).netloc, timeout=10)) as caller:
            caller.request("GET", "/slow")
            return len(caller.getresponse().read())

    with ThreadPoolExecutor(4) as pool:
        sizes = [pool.submit(ask) for _ in range(4)]
        running.wait(10)
        closing_now.set()
        served.close()

        assert [5_000_000] * 4 == [size.result() for size in sizes]


def test_a_request_that_does_not_end_does_not_keep_a_server_from_closing(serve, monkeypatch):
    monkeypatch.setattr("capa_core.blocks.invocation._served._DRAIN_S", 0.5)
    service, started, over = Service("shop"), threading.Event(), threading.Event()

    def stuck(_call: object) -> None:
        started.set()
        over.wait(10)

    service.register("stuck", stuck)
    served = serve(service)
    with closing(_connected(served, b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n")):
        assert started.wait(10)
        start = time.monotonic()
        served.close()
        end_s = time.monotonic() - start
        over.set()

    assert end_s < 2 + SLOW_MACHINE_S
