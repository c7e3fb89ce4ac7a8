"""HTTP for components: an answer is complete, not too large, and in time."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from capa_core.conformance._tolerance import SLOW_MACHINE_S
from capa_core.errors import SettingsError
from capa_core.http import Endpoint, NotSentError, PlainRequest, TooLargeError


@pytest.fixture
def endpoint(apollo):
    apollo.release("application", {"a": "x" * 1000})
    one = Endpoint(apollo.url, verify=True, size=2)
    yield one
    one.close()


REQUEST = PlainRequest("GET", "/configs/app/default/application")


def exchange(endpoint, *, most_bytes=10_000, seconds=2.0):
    return endpoint.exchange(REQUEST, time.monotonic() + seconds, most_bytes=most_bytes)


def test_an_answer_has_status_kind_and_body(endpoint):
    answer = exchange(endpoint)

    assert (200, "application/json", True) == (answer.status, answer.kind, b"xxx" in answer.body)


def test_a_connection_is_kept_for_the_next_request(endpoint):
    exchange(endpoint)
    exchange(endpoint)

    assert 1 == endpoint.idle


def test_an_answer_that_is_too_large_is_left(endpoint):
    with pytest.raises(TooLargeError, match="answered with more than 100 bytes"):
        exchange(endpoint, most_bytes=100)

    assert 0 == endpoint.idle


@pytest.mark.quiet
def test_an_answer_that_drips_ends_in_time(apollo, endpoint):
    apollo.drip_s = 0.02
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=f"no complete answer from {endpoint.url} in time"):
        exchange(endpoint, seconds=0.3)

    assert 0.25 < time.monotonic() - started < 0.3 + SLOW_MACHINE_S


def test_an_answer_that_breaks_off_names_its_address(apollo, endpoint):
    apollo.break_answers("truncated")

    with pytest.raises(OSError, match=f"{endpoint.url}: IncompleteRead"):
        exchange(endpoint)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n"


@pytest.mark.parametrize("length", range(len(HEAD) + 2))
def test_an_answer_is_never_complete_that_breaks_off(length):
    """Within the headers neither: the standard library returned an empty body then."""

    def answer(service):
        connection, _ = service.accept()
        with connection:
            connection.recv(1024)
            connection.sendall((HEAD + b"ok")[:length])

    with (
        socket.create_server(("127.0.0.1", 0)) as service,
        ThreadPoolExecutor(1) as pool,
        closing(Endpoint(f"http://127.0.0.1:{service.getsockname()[1]}", verify=True, size=1)) as endpoint,
    ):
        answering = pool.submit(answer, service)
        with pytest.raises(OSError, match=endpoint.url):
            exchange(endpoint)
        answering.result()


def test_a_server_that_is_not_there_is_named(apollo, endpoint):
    apollo.stop()

    with pytest.raises(NotSentError, match=f"cannot connect to 127.0.0.1:{apollo.url.rpartition(':')[2]}"):
        exchange(endpoint)


@pytest.mark.parametrize("url", ["apollo:8080", "ftp://apollo", "http://", "http://x:port"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(SettingsError, match="is not an HTTP address"):
        Endpoint(url, verify=True, size=1)
