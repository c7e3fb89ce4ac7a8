"""A host that capa.toml names as a service is reached through Capa and answers like any other."""

import io
import socket
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
import responses

import capa_requests
from capa_core import Runtime, Service, use_runtime
from capa_core.blocks.invocation.driver import InvocationResponse
from capa_core.errors import UnavailableError


def _orders() -> Service:
    service = Service("orders")
    service.register("list", lambda call: {"query": call.query, "token": call.header("X-Token")})
    service.register("echo", lambda call: call.data.decode("latin-1"))
    service.register("fail", lambda call: 1 / 0)
    service.register("gone", _gone)
    service.register(
        "login", lambda call: InvocationResponse(200, "Fine", [("Set-Cookie", "a=1; Path=/")], b"in")
    )
    service.register("moved", lambda call: InvocationResponse(302, "Found", [("Location", "/list?to=1")]))
    service.register("who", lambda call: call.header("Cookie"))
    service.register(
        "lengths",
        lambda call: InvocationResponse(200, "OK", [("Content-Length", "2"), ("Content-Length", "3")], b"ab"),
    )
    return service


def _gone(call: Any) -> None:
    raise UnavailableError("the warehouse is closed")


@pytest.fixture
def orders() -> Iterator[str]:
    with Runtime.in_memory() as runtime, use_runtime(runtime):
        runtime.host(_orders(), name="orders")
        yield "http://orders"


def test_a_service_in_this_process_answers(orders: str) -> None:
    found = capa_requests.get(f"{orders}/list", params={"a": "1"}, headers={"X-Token": "t"})

    assert (200, {"query": {"a": ["1"]}, "token": "t"}) == (found.status_code, found.json())
    assert ("http://orders/list?a=1", "OK", True) == (
        found.url,
        found.reason,
        type(found) is requests.Response,
    )


@pytest.mark.parametrize(
    "data",
    [b"raw", "text", {"raw": "form"}, io.BytesIO(b"file"), [("a", "b")]],
    ids=lambda value: type(value).__name__,
)
def test_a_body_of_any_kind_arrives_whole(data: Any, orders: str) -> None:
    found = capa_requests.post(f"{orders}/echo", data=data)

    assert found.text in {"raw", "text", "raw=form", "file", "a=b"}


def test_a_body_of_pieces_arrives_whole(orders: str) -> None:
    assert capa_requests.post(f"{orders}/echo", data=iter([b"one ", b"two"])).text == "one two"


def test_files_arrive(orders: str) -> None:
    assert 'filename="n.txt"' in capa_requests.post(f"{orders}/echo", files={"f": ("n.txt", b"x")}).text


def test_cookies_of_a_service_are_kept_and_sent(orders: str) -> None:
    session = capa_requests.Session()

    session.get(f"{orders}/login")

    assert ("1", "a=1") == (session.cookies["a"], session.get(f"{orders}/who").text)


def test_a_redirect_of_a_service_is_followed(orders: str) -> None:
    found = capa_requests.get(f"{orders}/moved")

    assert ([302], {"to": ["1"]}) == ([past.status_code for past in found.history], found.json()["query"])


def test_a_status_of_failure_is_raised_on_request(orders: str) -> None:
    with pytest.raises(requests.HTTPError, match="500 Server Error"):
        capa_requests.get(f"{orders}/fail").raise_for_status()


def test_an_answer_can_be_streamed(orders: str) -> None:
    with capa_requests.post(f"{orders}/echo", data=b"x" * 100, stream=True) as found:
        sizes = [len(piece) for piece in found.iter_content(30)]

    assert sizes == [30, 30, 30, 10]


def test_closing_a_streamed_answer_unread_closes_its_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        settings = {"invocation": {"big": {"driver": "http", "url": url}}}
        with Runtime(settings, environ={}) as runtime, use_runtime(runtime), ThreadPoolExecutor(1) as pool:
            accepted = pool.submit(_begin_an_answer, server)
            found = capa_requests.get("http://big/", stream=True)
            with accepted.result() as connection:
                found.close()

                assert b"" == connection.recv(1)  # while the answer is still referred to
    assert 200 == found.status_code


def _begin_an_answer(server: socket.socket) -> socket.socket:
    connection = server.accept()[0]
    connection.settimeout(60)
    asked = b""
    while not asked.endswith(b"\r\n\r\n"):
        asked += connection.recv(4096)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nbegin")
    return connection


def test_a_user_defined_session_and_adapter_reach_services_too(orders: str) -> None:
    class WithToken(capa_requests.adapters.HTTPAdapter):
        def send(self, request: Any, **kwargs: Any) -> Any:
            request.headers["X-Token"] = "from the adapter"
            return super().send(request, **kwargs)

    session = capa_requests.Session()
    session.mount("http://", WithToken())

    assert session.get(f"{orders}/list").json()["token"] == "from the adapter"


def test_a_mock_library_comes_before_a_service(orders: str) -> None:
    with responses.RequestsMock() as mocked:
        mocked.get(f"{orders}/list", body="mocked")
        found = capa_requests.get(f"{orders}/list")

    assert found.text == "mocked"


def test_other_hosts_are_reached_as_before(orders: str, server: Any) -> None:
    assert capa_requests.get(f"{server.url}/echo").json()["path"] == "/echo"


def test_a_legacy_address_leads_to_the_service(server: Any) -> None:
    tree = {"invocation": {"orders": {"driver": "http", "url": server.url, "legacy": ["old.internal:8080"]}}}
    with Runtime.in_memory(tree) as runtime, use_runtime(runtime):
        found = capa_requests.get("http://old.internal:8080/echo?a=1")

    assert ("/echo?a=1", "http://old.internal:8080/echo?a=1") == (found.json()["path"], found.url)


def test_a_service_that_is_down_is_a_connection_error() -> None:
    tree = {"invocation": {"orders": {"driver": "http", "url": "http://127.0.0.1:1"}}}
    with (
        Runtime.in_memory(tree) as runtime,
        use_runtime(runtime),
        pytest.raises(requests.ConnectionError) as caught,
    ):
        capa_requests.get("http://orders/echo", timeout=1)

    assert caught.value.request.url == "http://orders/echo"


@pytest.mark.parametrize("data", [[b"one ", b"two"], io.BytesIO(b"one two")], ids=["pieces", "file"])
def test_a_body_of_unknown_length_goes_whole_to_a_service_over_http(data: Any, server: Any) -> None:
    tree = {"invocation": {"orders": {"driver": "http", "url": server.url}}}
    with Runtime.in_memory(tree) as runtime, use_runtime(runtime):
        found = capa_requests.post("http://orders/echo", data=iter(data) if isinstance(data, list) else data)
        after = capa_requests.get("http://orders/echo")

    headers = {name.lower() for name, _ in found.json()["headers"]}
    assert ("one two", 200) == (found.json()["body"], after.status_code)
    assert {"content-length"} == headers & {"content-length", "transfer-encoding", "connection"}


@pytest.mark.parametrize("name", ["Connection", "Proxy-Authorization", "TE", "Keep-Alive", "Upgrade"])
def test_headers_about_a_connection_are_not_for_a_service(name: str, orders: str) -> None:
    found = capa_requests.get(f"{orders}/list", headers={name: "close", "X-Token": "t"})

    assert (200, "t") == (found.status_code, found.json()["token"])


def test_a_service_that_does_not_answer_in_time_is_a_read_timeout(server: Any) -> None:
    tree = {"invocation": {"orders": {"driver": "http", "url": server.url}}}
    with Runtime.in_memory(tree) as runtime, use_runtime(runtime), pytest.raises(requests.ReadTimeout):
        capa_requests.get("http://orders/slow/2", timeout=0.2)


@pytest.mark.parametrize("fold", [b"\r\n ", b" \r\n\t "])
def test_a_header_on_several_lines_is_joined_as_by_the_original(
    fold: bytes, saying: Callable[[bytes], str]
) -> None:
    url = saying(b"HTTP/1.1 200 OK\r\nX-A: a" + fold + b"b\r\nContent-Length: 0\r\n\r\n")
    original = requests.get(url, timeout=5).headers["X-A"]
    with (
        Runtime.in_memory({"invocation": {"orders": {"driver": "http", "url": url}}}) as runtime,
        use_runtime(runtime),
    ):
        found = capa_requests.get("http://orders/")

    assert " ".join(original.split()) == found.headers["X-A"]  # an old urllib3 leaves it as it comes


def test_any_wsgi_application_is_a_service() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("201 Made", [("X-Path", environ["PATH_INFO"])])
        return [b"wsgi"]

    with Runtime.in_memory() as runtime, use_runtime(runtime):
        runtime.host(application, name="web")
        found = capa_requests.put("http://web/a/b")

    assert (201, "Made", "/a/b", b"wsgi") == (
        found.status_code,
        found.reason,
        found.headers["X-Path"],
        found.content,
    )


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({"é": "x"}, UnicodeEncodeError),
        ({"X": "日"}, UnicodeEncodeError),
        ({"X Y": "x"}, requests.exceptions.InvalidHeader),
    ],
    ids=["name", "value", "space"],
)
def test_a_header_that_cannot_be_sent_is_no_outage(headers: dict[str, str], kind: Any, server: Any) -> None:
    tree = {"invocation": {"orders": {"driver": "http", "url": server.url}}}
    with Runtime.in_memory(tree) as runtime, use_runtime(runtime), pytest.raises(kind):
        capa_requests.get("http://orders/echo", headers=headers)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_with_two_lengths_is_refused_as_by_the_original(stream: bool, orders: str) -> None:
    with pytest.raises(requests.exceptions.InvalidHeader, match="Content-Length"):
        capa_requests.get(f"{orders}/lengths", stream=stream)
