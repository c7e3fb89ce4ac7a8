"""The conformance suite of invocation drivers, as tests over the portable type.

    class TestMyInvocation(InvocationConformance):
        @pytest.fixture
        def driver(self, service_url):
            with MyInvocation(MySettings(url=service_url)) as driver: ...

`driver` must reach the service of `test_service`: use `serve()` or `attach()`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from capa_core.abilities import Support
from capa_core.blocks.invocation import (
    Call,
    Invocation,
    InvocationDriver,
    InvocationFeature,
    InvocationResponse,
    Service,
)
from capa_core.call import Policy
from capa_core.conformance._contract import ContractPromises
from capa_core.conformance._tolerance import SLOW_MACHINE_S
from capa_core.errors import CapaError, DeadlineError, InvalidArgumentError, UnavailableError

AnyDriver = InvocationDriver[Any]


def test_service() -> Service:
    """Return a new service for the calls of the suite."""
    service = Service("conformance")
    service.register("echo", lambda call: call.data)
    service.register("json", lambda call: {"got": call.json()})
    service.register("nothing", lambda _call: None)
    service.register("headers", _headers)
    service.register("query", lambda call: call.query)
    service.register("verb", lambda call: call.request.verb, verbs=("GET", "POST", "PUT", "DELETE", "PATCH"))
    service.register("fails", _fails)
    service.register("splits", lambda _call: InvocationResponse(200, "OK", [("X-A", "a\r\nX-B: b")]))
    service.register("big", lambda _call: b"x" * 3_000_000)
    service.register("odd name/ü", lambda _call: "found")
    service.register("slow", _slow)
    return service


test_service.__test__ = False  # type: ignore[attr-defined]  # a builder, not a test


def _headers(call: Call) -> InvocationResponse:
    headers = [
        ("Content-Length", "0"),
        ("X-Back", call.header("x-there")),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
    ]
    return InvocationResponse(418, "I'm a Teapot", headers)


def _fails(_call: Call) -> None:
    raise RuntimeError("secret detail")


def _slow(_call: Call) -> str:
    time.sleep(1.5)
    return "late"


class InvocationConformance(ContractPromises, ABC):
    """The promises of `Invocation` and `InvocationDriver`. Override the fixture `driver`."""

    @pytest.fixture
    @abstractmethod
    def driver(self) -> Iterator[AnyDriver]:
        """Yield a driver that reaches `test_service()`."""

    @pytest.fixture
    def invocation(self, driver: AnyDriver) -> Iterator[Invocation]:
        """Yield the portable type over the driver."""
        portable = Invocation(driver, name="conformance", policy=Policy(deadline_s=5))
        yield portable
        portable.close()

    def support(self, driver: AnyDriver, feature: InvocationFeature) -> Support:
        """Return the declared support of *feature*; each ability must be declared."""
        return driver.features[feature]

    def test_declares_every_ability(self, driver: AnyDriver) -> None:
        assert set(InvocationFeature) == set(driver.features)

    def test_endpoints_are_known_without_a_call(self, invocation: Invocation) -> None:
        invocation.invoke("nothing")
        endpoints = invocation.inspect()

        assert endpoints
        assert [] == [endpoint for endpoint in endpoints if not endpoint.url or not endpoint.available]
        assert invocation.summary()

    def test_bytes_return_unchanged(self, invocation: Invocation) -> None:
        data = bytes(range(256)) * 10

        assert data == invocation.invoke("echo", data).body

    def test_a_value_goes_as_json(self, invocation: Invocation) -> None:
        response = invocation.invoke("json", {"a": [1, "ü"]})

        assert '{"got":{"a":[1,"ü"]}}'.encode() == response.body
        assert "application/json" == response.header("content-type")

    def test_a_value_without_a_json_form_is_refused_before_sending(self, invocation: Invocation) -> None:
        with pytest.raises(InvalidArgumentError, match="no JSON form"):
            invocation.invoke("json", {"a": object()})

    def test_a_method_may_return_nothing(self, invocation: Invocation) -> None:
        response = invocation.invoke("nothing")

        assert (response.status, response.body) == (204, b"")

    def test_status_and_repeated_headers_come_back(self, invocation: Invocation) -> None:
        response = invocation.invoke("headers", headers={"X-There": "v"})

        assert (response.status, response.header("x-back")) == (418, "v")
        assert [value for name, value in response.headers if name.lower() == "set-cookie"] == ["a=1", "b=2"]

    def test_the_query_comes_through(self, invocation: Invocation) -> None:
        assert b'{"a":["1","2"],"b":[""]}' == invocation.request("GET", "/query?a=1&a=2&b=").body

    @pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "DELETE", "PATCH"])
    def test_each_verb_arrives(self, invocation: Invocation, verb: str) -> None:
        assert verb.encode() == invocation.request(verb, "/verb").body

    def test_a_verb_that_a_method_does_not_answer_is_405(self, invocation: Invocation) -> None:
        assert 405 == invocation.request("PATCH", "/echo").status

    def test_an_unregistered_method_is_404_with_its_name(self, invocation: Invocation) -> None:
        response = invocation.invoke("nowhere")

        assert 404 == response.status
        assert b"nowhere" in response.body

    def test_a_bad_body_is_400(self, invocation: Invocation) -> None:
        assert 400 == invocation.invoke("json", b"{").status

    def test_a_failing_method_is_500_without_its_reason(self, invocation: Invocation) -> None:
        response = invocation.invoke("fails")

        assert 500 == response.status
        assert b"secret detail" not in response.body

    def test_a_header_of_several_lines_is_500(self, invocation: Invocation) -> None:
        assert 500 == invocation.invoke("splits").status

    def test_a_large_body_comes_whole(self, invocation: Invocation) -> None:
        assert 3_000_000 == len(invocation.invoke("big").body)

    def test_a_method_name_may_have_any_character(self, invocation: Invocation) -> None:
        assert b"found" == invocation.invoke("odd name/ü").body

    @pytest.mark.parametrize(
        "method", ["../admin", "a/../b", "..", "a/.", "echo?admin=1", "echo#end", "half \ud800"]
    )
    def test_a_name_that_leads_elsewhere_is_refused(self, invocation: Invocation, method: str) -> None:
        with pytest.raises(InvalidArgumentError, match=r"conformance"):
            invocation.invoke(method)

    def test_a_name_that_looks_encoded_is_itself(self, invocation: Invocation) -> None:
        assert 404 == invocation.invoke("%65cho").status

    @pytest.mark.parametrize("path", ["/echo#end", "/ec ho", "/echo\r\nX: 1", "/ü", "/a\x00"])
    def test_a_path_that_cannot_be_sent_is_refused(self, invocation: Invocation, path: str) -> None:
        with pytest.raises(InvalidArgumentError, match="Percent-encode"):
            invocation.request("GET", path)

    @pytest.mark.parametrize("verb", ["", "GET /", "GET\r\n", "GÉT"])
    def test_a_verb_that_cannot_be_sent_is_refused(self, invocation: Invocation, verb: str) -> None:
        with pytest.raises(InvalidArgumentError, match="HTTP method"):
            invocation.request(verb, "/echo")

    @pytest.mark.parametrize(
        "header",
        [
            *(
                ("Connection", "close"),
                ("Transfer-Encoding", "chunked"),
                ("te", "trailers"),
                ("Upgrade", "h2c"),
            ),
            *(
                ("Keep-Alive", "5"),
                ("Trailer", "X"),
                ("Proxy-Authorization", "x"),
                ("Proxy-Connection", "close"),
            ),
            *(("Content-Length", "3"), ("Content-Length", "-1"), ("X-A", "1\r\nX-B: 2"), ("X-A", "a\x00b")),
            *(("X A", "1"), ("X-A:", "1"), ("", "1"), ("X-A", 1), ("X-A", b"1")),
        ],
        ids=repr,
    )
    def test_a_header_that_is_not_the_callers_to_send_is_refused(
        self, invocation: Invocation, header: Any
    ) -> None:
        with pytest.raises(InvalidArgumentError, match="header"):
            invocation.invoke("echo", b"four", headers=[("X-There", "v"), header])

    def test_a_length_that_is_right_is_accepted(self, invocation: Invocation) -> None:
        assert b"four" == invocation.invoke("echo", b"four", headers={"Content-Length": "4"}).body

    def test_json_that_is_nested_too_deep_is_400(self, invocation: Invocation) -> None:
        assert 400 == invocation.invoke("json", b"[" * 100_000).status

    @pytest.mark.parametrize("time_left", ["9" * 5000, "²", "-1", "1e3", ""])
    def test_a_time_left_that_is_no_number_counts_as_none(
        self, invocation: Invocation, time_left: str
    ) -> None:
        response = invocation.request("GET", "/nothing", headers={"X-Capa-Timeout-Ms": time_left})

        assert 204 == response.status

    def test_a_path_without_slash_is_refused(self, invocation: Invocation) -> None:
        with pytest.raises(InvalidArgumentError, match="must begin with '/'"):
            invocation.request("GET", "echo")

    def test_many_threads_get_their_own_answers(self, invocation: Invocation) -> None:
        with ThreadPoolExecutor(8) as pool:
            got = list(pool.map(lambda n: invocation.invoke("echo", str(n)).body, range(200)))

        assert [str(n).encode() for n in range(200)] == got

    def test_a_stream_yields_the_body_in_pieces(self, driver: AnyDriver, invocation: Invocation) -> None:
        if not self.support(driver, InvocationFeature.STREAM):
            pytest.skip("declared absent")
        response = invocation.request("GET", "/big", stream=True)

        assert response.stream is not None
        assert 3_000_000 == sum(map(len, response.stream))
        assert b"1" == invocation.invoke("echo", b"1").body

    def test_a_stream_that_is_closed_unread_gives_up_the_rest(
        self, driver: AnyDriver, invocation: Invocation
    ) -> None:
        if not self.support(driver, InvocationFeature.STREAM):
            pytest.skip("declared absent")
        stream = invocation.request("GET", "/big", stream=True).stream
        assert isinstance(stream, Generator)
        stream.close()

        assert [] == list(stream)
        assert b"1" == invocation.invoke("echo", b"1").body

    def test_a_service_that_does_not_answer_ends_the_call_in_time(
        self,
        driver: AnyDriver,
        invocation: Invocation,
    ) -> None:
        started = time.monotonic()
        if self.support(driver, InvocationFeature.DEADLINE):
            with pytest.raises(DeadlineError):
                invocation.invoke("slow", timeout_s=0.5)
            assert time.monotonic() - started < 0.55 + SLOW_MACHINE_S
        else:
            # Declared absent: unless the call exceeds its time, the declaration is wrong.
            invocation.invoke("slow", timeout_s=0.5)
            assert time.monotonic() - started >= 1.5

    def test_ping_is_one_line(self, invocation: Invocation) -> None:
        assert 1 == len(invocation.ping().splitlines())

    def test_close_twice_does_nothing(self, invocation: Invocation) -> None:
        invocation.close()

        assert invocation.close() is None  # and it does not raise

    def test_errors_are_translated(self, unreachable: Invocation) -> None:
        with pytest.raises(UnavailableError) as caught:
            unreachable.invoke("echo")

        assert isinstance(caught.value, CapaError)
        assert "'gone'" in str(caught.value)

    @pytest.fixture
    @abstractmethod
    def unreachable(self) -> Invocation:
        """Return a portable type, named `gone`, over a driver without a running service."""
