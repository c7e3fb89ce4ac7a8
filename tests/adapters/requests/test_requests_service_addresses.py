"""Which addresses go to a service, and which to the host that the address names, as with the original."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

import capa_requests
from capa_core import Runtime, use_runtime
from tests.adapters.requests.twins import BOTH


@contextmanager
def _services(**legacy: list[str]) -> Iterator[Runtime]:
    """Serve each name with an application that answers its name and the path that it got."""
    tree = {name: {"driver": "memory", "legacy": given} for name, given in legacy.items()}
    with Runtime.in_memory({"invocation": tree}) as runtime, use_runtime(runtime):
        for name in legacy:
            runtime.host(_answering(name), name=name)
        yield runtime


def _answering(name: str) -> Any:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [f"{name} {environ['PATH_INFO']}?{environ['QUERY_STRING']}".encode()]

    return application


@pytest.mark.parametrize(
    "url",
    [
        "http://my_shop/x?a=1",
        "http://MY_SHOP:80/x?a=1",
        "http://my_shop./x?a=1",
        "http://user:pw@my_shop/x?a=1",
        "http://old.internal/x?a=1",
        "http://old.internal:80/x?a=1#there",
        "http://OLD.internal./x?a=1",
        "https://old.internal/x?a=1",
        "https://old.internal:443/x?a=1",
        "http://[fd00::1]/x?a=1",
        "http://[FD00::1]:80/x?a=1",
        "http://bücher.internal/x?a=1",
    ],
)
def test_every_spelling_of_an_address_leads_to_the_service(url: str) -> None:
    legacy = ["http://old.internal", "https://old.internal:443", "http://[fd00::1]", "http://bücher.internal"]
    with _services(my_shop=legacy):
        found = capa_requests.get(url, timeout=1)

    assert "my_shop /x?a=1" == found.text


def test_a_url_that_was_set_after_preparing_leads_to_the_service_too() -> None:
    request = requests.Request("GET", "http://elsewhere/").prepare()
    request.url = "http://Catalog/x?a=[1]"
    with _services(catalog=[]):
        found = capa_requests.Session().send(request, timeout=1)

    assert "catalog /x?a=%5B1%5D" == found.text


def test_services_behind_one_gateway_are_told_apart_by_their_paths(server: Any) -> None:
    with _services(catalog=[f"{server.url}/catalog"], orders=[f"{server.url}/orders"]):
        found = [
            capa_requests.get(f"{server.url}{path}").text
            for path in ("/catalog/x", "/orders/y?a=1", "/orders")
        ]
        outside = [library.get(f"{server.url}/echo").json()["path"] for library in BOTH]

    assert ["catalog /x?", "orders /y?a=1", "orders /?"] == found
    assert ["/echo", "/echo"] == outside


def test_the_path_of_a_legacy_address_is_replaced_by_that_of_the_url(server: Any) -> None:
    table = {"driver": "http", "url": f"{server.url}/echo", "legacy": ["http://gw.internal:8000/catalog"]}
    with Runtime.in_memory({"invocation": {"catalog": table}}) as runtime, use_runtime(runtime):
        found = capa_requests.get("http://gw.internal:8000/catalog/x?a=1")

    assert "/echo/x?a=1" == found.json()["path"]


def test_another_port_of_a_services_host_is_reached_as_by_the_original(server: Any) -> None:
    url = server.url.replace("127.0.0.1", "localhost")
    with _services(localhost=[]):
        named = capa_requests.get("http://localhost/x").text
        outside = [library.get(f"{url}/echo").json()["path"] for library in BOTH]

    assert ("localhost /x?", ["/echo", "/echo"]) == (named, outside)


def test_a_services_name_over_tls_is_reached_as_by_the_original(server: Any) -> None:
    port = server.url.rpartition(":")[2]
    with _services(localhost=[]):
        for library in BOTH:
            with pytest.raises(requests.exceptions.SSLError):  # it was connected to, and speaks no TLS
                library.get(f"https://localhost:{port}/echo", timeout=5)
            with pytest.raises(requests.ConnectionError):
                library.get("https://localhost/echo", timeout=5)
