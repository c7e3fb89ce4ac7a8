"""Answers that are odd, broken or hostile are read as the original reads them."""

import http.client
import time
from collections.abc import Callable
from typing import Any

import pytest
import urllib3.connection

import capa_requests

from .conftest import conversing
from .twins import outcomes

OK = b"HTTP/1.1 200 OK\r\n"

ANSWERS: dict[str, bytes] = {
    "nothing": b"",
    "not HTTP": b"SSH-2.0-OpenSSH\r\n",
    "HTTP of another version": b"HTTP/2.0 200 OK\r\n\r\n",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\nbody",
    "HTTP/1.0 kept alive": b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nbody",
    "HTTP/0.9 with a status": b"HTTP/0.9 200 OK\r\n\r\nbody",
    "HTTP/1.7": b"HTTP/1.7 200 OK\r\nContent-Length: 1\r\n\r\nx",
    "status without a reason": b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    "status out of range": b"HTTP/1.1 99 Low\r\n\r\n",
    "status in words": b"HTTP/1.1 two OK\r\n\r\n",
    "status above 599": b"HTTP/1.1 799 High\r\nContent-Length: 0\r\n\r\n",
    "reason in Latin-1": b"HTTP/1.1 200 gr\xfc\xdf\r\nContent-Length: 0\r\n\r\n",
    "continue first": b"HTTP/1.1 100 Continue\r\nX-A: 1\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi",
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    "header repeated": OK + b"X-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n",
    "header folded": OK + b"X-A: 1\r\n  2\r\nContent-Length: 0\r\n\r\n",
    "header without a value": OK + b"X-A:\r\nContent-Length: 0\r\n\r\n",
    "header with spaces around": OK + b"X-A: \t 1 \t \r\nContent-Length: 0\r\n\r\n",
    "header without a colon": OK + b"X-A: 1\r\nnonsense\r\nX-B: 2\r\nContent-Length: 0\r\n\r\n",
    "header with a space before its colon": OK + b"X-A : 1\r\nX-B: 2\r\nContent-Length: 0\r\n\r\n",
    "header that begins with a space": OK + b" X-A: 1\r\nContent-Length: 0\r\n\r\n",
    "header with a lone carriage return": OK + b"X-A: 1\rX-B: 2\r\nContent-Length: 0\r\n\r\n",
    "header in Latin-1": OK + b"X-A: gr\xfc\xdfe\r\nContent-Length: 0\r\n\r\n",
    "header in UTF-8": OK + "X-A: grüße\r\nContent-Length: 0\r\n\r\n".encode(),
    "header with a zero": OK + b"X-A: a\x00b\r\nContent-Length: 0\r\n\r\n",
    "lines ended by line feeds": b"HTTP/1.1 200 OK\nX-A: 1\nContent-Length: 2\n\nhi",
    "head cut short": OK + b"X-A: 1\r\nContent-Le",
    "header too long": OK + b"X-A: " + b"a" * 70_000 + b"\r\n\r\n",
    "too many headers": OK + b"X-A: 1\r\n" * 101 + b"\r\n",
    "as many headers as may be": OK + b"X-A: 1\r\n" * 98 + b"Content-Length: 0\r\n\r\n",
    "length, and cut short": OK + b"Content-Length: 10\r\n\r\nshort",
    "length, and more": OK + b"Content-Length: 2\r\n\r\nhi there",
    "length beyond all memory, and cut short": OK + b"Content-Length: 99999999999999\r\n\r\nshort",
    "length in words": OK + b"Content-Length: two\r\n\r\nhi",
    "negative length": OK + b"Content-Length: -1\r\n\r\nhi",
    "length twice the same": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi",
    "length twice": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
    "length list": OK + b"Content-Length: 2, 2\r\n\r\nhi",
    "length list, and cut short": OK + b"Content-Length: 10, 10\r\n\r\nshort",
    "length list, and more": OK + b"Content-Length: 2, 2\r\n\r\nhi there",
    "length and chunked": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "no length": OK + b"\r\nuntil the end",
    "chunked, cut short": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    "chunked, bad size": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab",
    "chunked with trailers": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n",
    "chunked and gzip": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    "encoding nobody knows": OK + b"Content-Encoding: zip9\r\nContent-Length: 2\r\n\r\nhi",
    "deflate without its head": OK
    + b"Content-Encoding: deflate\r\nContent-Length: 6\r\n\r\n\xcb\xc8\x04\x00\x00\x00",
    "no content, with content": b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc",
    "cookie that is expired": OK + b"Set-Cookie: a=1; Max-Age=0\r\nContent-Length: 0\r\n\r\n",
    "cookie of another host": OK + b"Set-Cookie: a=1; Domain=example.com\r\nContent-Length: 0\r\n\r\n",
    "cookie in quotes": OK + b'Set-Cookie: a="1;2"\r\nContent-Length: 0\r\n\r\n',
    "redirect nowhere": b"HTTP/1.1 302 Found\r\nLocation: \r\nContent-Length: 0\r\n\r\n",
    "redirect without a place": b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
    "redirect to a port out of range": b"HTTP/1.1 302 Found\r\nLocation: http://h:99999/\r\nContent-Length: 0\r\n\r\n",
    "charset nobody knows": OK + b"Content-Type: text/plain; charset=nope\r\nContent-Length: 2\r\n\r\nhi",
    "text without a charset": OK + b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n\xfc\xdf",
    "JSON": OK + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    "link": OK + b'Link: <http://h/2>; rel="next"\r\nContent-Length: 0\r\n\r\n',
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_an_odd_answer_is_read_as_the_original_reads_it(
    answer: bytes, saying: Callable[[bytes], str]
) -> None:
    url = saying(answer)

    original, shim = outcomes(lambda library: library.Session().get(url, timeout=5))

    assert original == shim


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_an_odd_answer_to_a_call_with_the_default_deadline_is_read_the_same(
    answer: bytes, saying: Callable[[bytes], str]
) -> None:
    url = saying(answer)

    original, shim = outcomes(lambda library: library.get(url))

    assert original == shim


def test_more_headers_are_read_when_the_application_raises_the_limit(
    saying: Callable[[bytes], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http.client, "_MAXHEADERS", 500)

    found = capa_requests.get(saying(OK + b"X-A: 1\r\n" * 300 + b"Content-Length: 0\r\n\r\n"))

    assert found.headers["X-A"].count("1") == 300


def test_a_kept_connection_that_the_server_closed_is_replaced(server: Any) -> None:
    def get_and_wait(session: Any) -> int:
        status = session.get(f"{server.url}/vanish").status_code
        time.sleep(0.1)  # until the end of the connection has arrived
        return status

    def steps(library: Any) -> list[int]:
        with library.Session() as session:
            return [get_and_wait(session) for _ in range(3)]

    original, shim = outcomes(steps)

    assert original == shim == [200] * 3


def test_a_call_does_not_fail_for_a_kept_connection_that_closes_as_it_is_used() -> None:
    served = []

    def one_answer_then_hang_up(connection: Any) -> None:
        served.append(connection.recv(65536))
        connection.sendall(OK + b"Content-Length: 2\r\n\r\nhi")
        connection.recv(65536)

    with conversing(one_answer_then_hang_up) as url:
        contents = [capa_requests.get(url).content for _ in range(3)]

    assert contents == [b"hi"] * 3


def test_a_call_that_must_not_be_sent_twice_gets_a_connection_of_its_own(server: Any) -> None:
    server.seen.clear()

    for _ in range(3):
        capa_requests.get(f"{server.url}/echo")
        capa_requests.post(f"{server.url}/echo", data=b"once")

    posts = [port for method, _, port in server.seen if method == "POST"]
    assert len(set(posts)) == 3


def test_a_socket_that_does_not_say_its_timeout_is_served(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reticent:
        """Like urllib3's `WrappedSocket` over pyOpenSSL."""

        def __init__(self, sock: Any) -> None:
            self._sock = sock

        def __getattr__(self, name: str) -> Any:
            if name == "gettimeout":
                raise AttributeError(name)
            return getattr(self._sock, name)

    connect = urllib3.connection.HTTPConnection._new_conn
    monkeypatch.setattr(
        urllib3.connection.HTTPConnection, "_new_conn", lambda connection: Reticent(connect(connection))
    )
    session = capa_requests.Session()

    assert [200] * 3 == [
        session.get(f"{server.url}/echo", **each).status_code for each in ({}, {"timeout": 3}, {})
    ]


def test_sessions_in_turn_send_their_own_headers(server: Any) -> None:
    def sent(session: Any, **options: Any) -> Any:
        headers = dict(session.get(f"{server.url}/echo", **options).json()["headers"])
        return headers.get("X-A"), headers["Host"]

    one, two = capa_requests.Session(), capa_requests.Session()
    one.headers["X-A"], two.headers["X-A"] = "1", "2"
    host = server.url.removeprefix("http://")
    other = f"http://localhost:{server.server_port}"

    assert [("1", host), ("2", host), ("1", host)] == [sent(one), sent(two), sent(one)]
    assert ("3", host) == sent(one, headers={"X-A": "3"})
    assert f"localhost:{server.server_port}" == dict(one.get(f"{other}/echo").json()["headers"])["Host"]
    with pytest.raises(capa_requests.exceptions.InvalidHeader):
        sent(one, headers={"X-A": "3\r\nX-B: 4"})


def test_calls_share_a_connection_and_no_cookies(server: Any) -> None:
    server.seen.clear()

    capa_requests.get(f"{server.url}/cookie?a=1")
    found = capa_requests.get(f"{server.url}/echo")

    assert len({port for _, _, port in server.seen}) == 1
    assert not any(name == "Cookie" for name, _ in found.json()["headers"])


def test_a_login_of_a_connection_is_not_shared(server: Any) -> None:
    server.seen.clear()

    capa_requests.get(f"{server.url}/echo")
    capa_requests.get(f"{server.url}/echo", auth=lambda request: request)

    assert len({port for _, _, port in server.seen}) == 2
