"""Proxies, CA bundle and netrc of the environment count as in the original, also when they change."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import requests

import capa_requests

from .twins import BOTH, outcomes


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in (
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "netrc",
        "requests_ca_bundle",
        "curl_ca_bundle",
    ):
        for spelling in (name, name.upper()):
            monkeypatch.delenv(spelling, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return


SETTINGS = {
    "nothing": {},
    "a proxy": {"http_proxy": "http://127.0.0.1:1"},
    "a proxy in capitals": {"HTTP_PROXY": "http://127.0.0.1:1"},
    "a proxy for all": {"all_proxy": "http://127.0.0.1:1"},
    "a proxy for TLS": {"https_proxy": "http://127.0.0.1:1"},
    "a proxy, not for this host": {"http_proxy": "http://127.0.0.1:1", "no_proxy": "127.0.0.1"},
    "a proxy, not for any host": {"http_proxy": "http://127.0.0.1:1", "NO_PROXY": "*"},
    "a proxy, not for a network": {"http_proxy": "http://127.0.0.1:1", "no_proxy": "127.0.0.0/8"},
    "a bundle": {"REQUESTS_CA_BUNDLE": "/no/such/bundle"},
    "a bundle as for curl": {"CURL_CA_BUNDLE": "/no/such/bundle"},
}


@pytest.mark.parametrize("variables", SETTINGS.values(), ids=SETTINGS.keys())
@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_variables_count_as_in_the_original(
    variables: dict[str, str], trusted: bool, scheme: str, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(library: ModuleType) -> Any:
        session = library.Session()
        session.trust_env = trusted
        url = server.url.replace("http", scheme)
        session.get(server.url)
        with monkeypatch.context() as later:
            for name, value in variables.items():
                later.setenv(name, value)
            return session.get(f"{url}/echo")

    original, shim = outcomes(step)

    assert original == shim


def test_a_mounted_adapter_gets_the_same_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ftp_proxy", "http://127.0.0.1:2")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/bundle")

    def arguments(library: ModuleType) -> dict[str, Any]:
        class ToldError(Exception):
            pass

        class Telling(library.adapters.BaseAdapter):
            def send(self, request: Any, **kwargs: Any) -> Any:
                raise ToldError(kwargs)

        session = library.Session()
        session.mount("http://", Telling())
        with pytest.raises(ToldError) as caught:
            session.get("http://host.invalid/", cert="c")
        return caught.value.args[0]

    original, shim = (arguments(library) for library in BOTH)

    assert original == shim


def test_netrc_is_read_as_it_is_now(server: Any, tmp_path: Path) -> None:
    def logins(library: ModuleType) -> list[Any]:
        session, found = library.Session(), []
        for text in (
            "",
            "machine 127.0.0.1 login one password x",
            "machine 127.0.0.1 login two password x",
            "nonsense",
        ):
            (tmp_path / ".netrc").write_text(text)
            headers = dict(session.get(f"{server.url}/echo").json()["headers"])
            found.append(headers.get("Authorization"))
        (tmp_path / ".netrc").unlink()
        found.append(dict(session.get(f"{server.url}/echo").json()["headers"]).get("Authorization"))
        return found

    original, shim = (logins(library) for library in BOTH)

    assert len(set(original)) == 3
    assert original == shim


def test_netrc_does_not_take_the_place_of_a_login(server: Any, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login one password x")

    def login(library: ModuleType) -> Any:
        return library.get(f"{server.url}/echo", auth=("two", "y")).request.headers["Authorization"]

    assert login(requests) == login(capa_requests)
