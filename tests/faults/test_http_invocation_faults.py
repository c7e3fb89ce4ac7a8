"""Calls over HTTP to a service that misbehaves."""

import gc
import io
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from capa_core.blocks.invocation import Invocation, Service
from capa_core.call import Policy
from capa_core.components.http.invocation import HttpInvocation, HttpInvocationSettings
from capa_core.conformance._tolerance import SLOW_MACHINE_S
from capa_core.errors import DeadlineError, UnavailableError

Behaviour = Callable[[socket.socket, int], None]


class Peer:
    """Answers each connection with the next behaviour, the last one again and again, and counts requests."""

    def __init__(self, *behaviours: Behaviour) -> None:
        self._behaviours = behaviours
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        count = 0
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            behaviour = self._behaviours[min(count, len(self._behaviours) - 1)]
            count += 1
            threading.Thread(target=self._serve, args=(connection, behaviour), daemon=True).start()

    def _serve(self, connection: socket.socket, behaviour: Behaviour) -> None:
        with closing(connection):
            if connection.recv(65_536):
                self.requests += 1
                try:
                    behaviour(connection, self.requests)
                except OSError:
                    return  # the caller hung up, which these tests are about

    def close(self) -> None:
        self._listener.close()


def answers(connection: socket.socket, _count: int) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    while connection.recv(65_536):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def never_answers(_connection: socket.socket, _count: int) -> None:
    time.sleep(20)


def trickles(head: bytes) -> Behaviour:
    def behaviour(connection: socket.socket, _count: int) -> None:
        connection.sendall(head)
        for _ in range(200):
            time.sleep(0.1)
            connection.sendall(b"x")

    return behaviour


def hangs_up(_connection: socket.socket, _count: int) -> None:
    return


def stops_half_way(connection: socket.socket, _count: int) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")


@pytest.fixture
def peer() -> Iterator[Callable[..., tuple[Peer, Invocation]]]:
    opened: list[Peer | Invocation] = []

    def start(*behaviours: Behaviour, **limits: float) -> tuple[Peer, Invocation]:
        one = Peer(*behaviours)
        driver = HttpInvocation(HttpInvocationSettings(url=one.url))
        policy = Policy(**{"deadline_s": 1.0, "attempt_s": math.inf, **limits})
        caller = Invocation(driver, name="peer", policy=policy)
        opened.extend([one, caller])
        return one, caller

    yield start
    for each in opened:
        each.close()


@pytest.mark.parametrize(
    "behaviour",
    [never_answers, trickles(b""), trickles(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")],
    ids=["never answers", "trickles its headers", "trickles its body"],
)
def test_a_call_ends_within_its_deadline_and_a_tenth(peer, behaviour):
    _, caller = peer(behaviour)
    started = time.monotonic()

    with pytest.raises(DeadlineError, match="'peer'"):
        caller.invoke("any")

    assert time.monotonic() - started < 1.1 + SLOW_MACHINE_S


def test_a_try_that_takes_too_long_leaves_time_for_the_next(peer):
    one, caller = peer(never_answers, answers, attempt_s=0.3, deadline_s=30.0)

    assert b"ok" == caller.request("GET", "/any").body
    assert 2 == one.requests


def test_the_limit_of_a_try_is_named_with_its_setting(peer):
    _, caller = peer(never_answers, attempt_s=0.3, deadline_s=30.0)

    with pytest.raises(
        DeadlineError, match=r"within 0\.3 s.* timeout_s or attempt_s under \[invocation\.peer\]"
    ):
        caller.invoke("any", timeout_s=60)


@pytest.mark.parametrize("fold", [b"\r\n ", b" \r\n\t ", b"\n "])
def test_a_header_on_several_lines_is_one_line(peer, fold):
    def folds(connection: socket.socket, _count: int) -> None:
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nX-A: a" + fold + b"b" + fold + b"c\r\nContent-Length: 0\r\n\r\n"
        )

    _, caller = peer(folds)

    assert [("X-A", "a b c"), ("Content-Length", "0")] == caller.request("POST", "/any").headers


def test_a_call_that_the_service_may_have_seen_is_not_repeated_for_post(peer):
    one, caller = peer(hangs_up)

    with pytest.raises(UnavailableError):
        caller.request("POST", "/any")

    assert 1 == one.requests


def test_the_same_call_is_repeated_for_get(peer):
    one, caller = peer(hangs_up, hangs_up, answers)

    assert b"ok" == caller.request("GET", "/any").body
    assert 3 == one.requests


def test_a_post_declared_idempotent_is_repeated(peer):
    _, caller = peer(hangs_up, answers)

    assert b"ok" == caller.request("POST", "/any", idempotent=True).body


def test_a_body_that_stops_half_way_is_an_error_not_a_short_body(peer):
    _, caller = peer(stops_half_way)

    with pytest.raises(UnavailableError):
        caller.request("POST", "/any")


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.0 200 OK", b"HTTP/1.1 200 OK\r\nConnection: close", b"HTTP/1.0 200 OK\r\nContent-Length: 4"],
    ids=["1.0", "close", "1.0 with a length"],
)
def test_a_body_whose_service_closes_after_it_is_streamed_with_a_limit_for_each_wait(peer, head):
    go_on = threading.Event()

    def comes_in_two(connection: socket.socket, _count: int) -> None:
        connection.sendall(head + b"\r\n\r\nto")
        go_on.wait(10)
        connection.sendall(b"ld")

    one, caller = peer(comes_in_two)

    with pytest.raises(TimeoutError):
        b"".join(caller.request("POST", "/any", stream=True, timeout_s=0.2).stream)
    go_on.set()
    assert b"told" == b"".join(caller.request("POST", "/any", stream=True, timeout_s=5).stream)
    assert 2 == one.requests


def test_a_length_beyond_all_memory_is_an_error_and_no_allocation(peer):
    def announces_much(connection: socket.socket, _count: int) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\nonly this")

    _, caller = peer(announces_much)

    with pytest.raises(UnavailableError):
        caller.request("POST", "/any")


@pytest.mark.parametrize("length", ["99999999999999", "9" * 30, "-1", "two", "1_0", "²"])
def test_a_service_answers_400_to_a_length_that_is_not_the_bodys(length):
    service, statuses = Service("shop"), []
    service.register("echo", lambda call: call.data)
    environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/echo", "CONTENT_LENGTH": length}

    b"".join(
        service.wsgi(
            {**environ, "wsgi.input": io.BytesIO(b"short")}, lambda status, _: statuses.append(status)
        )
    )

    assert ["400 Bad Request"] == statuses


def test_a_kept_connection_that_the_service_dropped_is_not_used_again(peer):
    dropped = threading.Semaphore(0)

    def once(connection: socket.socket, _count: int) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        connection.shutdown(socket.SHUT_RDWR)
        dropped.release()

    one, caller = peer(once)
    for _ in range(3):
        caller.request("POST", "/any")
        assert dropped.acquire(timeout=10)

    assert 3 == one.requests


def test_a_connection_that_is_in_use_while_its_component_is_closed_is_closed_after_it(peer):
    asked, closed, hung_up = threading.Event(), threading.Event(), threading.Event()

    def answers_late(connection: socket.socket, _count: int) -> None:
        asked.set()
        closed.wait(10)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert b"" == connection.recv(65_536)
        hung_up.set()

    _, caller = peer(answers_late)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(caller.request, "GET", "/any", timeout_s=10)
        assert asked.wait(10)
        caller.close()
        closed.set()

        assert b"ok" == answer.result().body
    assert hung_up.wait(10)


def test_a_server_that_closes_lets_go_of_the_files_that_large_bodies_are_in():
    service = Service("shop")
    service.register("echo", lambda call: call.data)
    served = service.serve()
    with closing(HTTPConnection(urlsplit(served.url).netloc)) as caller:
        caller.request("POST", "/echo", body=b"x" * 5_000_000)
        answer = len(caller.getresponse().read())
        served.close()

    assert 5_000_000 == answer
    gc.collect()  # warns of files that were left open


def test_an_address_that_refuses_is_left_out_while_another_answers(peer):
    one, _ = peer(answers)
    settings = HttpInvocationSettings(url=("http://127.0.0.1:1", one.url))
    caller = Invocation(HttpInvocation(settings), name="two", policy=Policy())

    assert [b"ok"] * 6 == [caller.request("POST", "/any").body for _ in range(6)]
    caller.close()


def test_the_retry_budget_bounds_the_calls_to_a_dead_service(peer):
    one, caller = peer(hangs_up)
    for _ in range(30):
        with pytest.raises(UnavailableError):
            caller.request("GET", "/any")

    assert one.requests <= 30 + 25
