"""`side` of `[adapters.requests]`: Capa or the original serves, by one setting."""

from typing import Any

import pytest
import requests

import capa_requests
from capa_core import Runtime, Service, use_runtime
from capa_core.errors import SettingsError, UnsupportedError


def runtime_on(side: str, server: Any, **adapter: Any) -> Runtime:
    """A runtime in which the address of *server* is that of a service in this process."""
    tree = {
        "invocation": {"things": {"driver": "memory", "legacy": [server.url]}},
        "adapters": {"requests": {"side": side, **adapter}},
    }
    runtime = Runtime.in_memory(tree)
    service = Service("things")
    service.register("echo", lambda _call: {"served by": "capa"})
    runtime.host(service, name="things")
    return runtime


def ways(url: str) -> list[Any]:
    """Each way to send a request, as functions that return the answer."""
    prepared = requests.Request("GET", f"{url}/echo").prepare()
    return [
        lambda: capa_requests.get(f"{url}/echo"),
        lambda: capa_requests.Session().get(f"{url}/echo"),
        lambda: capa_requests.session().send(prepared),
        lambda: capa_requests.adapters.HTTPAdapter().send(prepared),
    ]


@pytest.mark.parametrize("way", range(4))
def test_with_legacy_a_service_is_reached_over_the_network(way: int, server: Any) -> None:
    with runtime_on("capa", server) as runtime, use_runtime(runtime):
        on_capa = ways(server.url)[way]().json()
    with runtime_on("legacy", server) as runtime, use_runtime(runtime):
        on_legacy = ways(server.url)[way]().json()

    assert {"served by": "capa"} == on_capa
    assert "/echo" == on_legacy["path"]


def test_a_process_can_go_back_to_capa(server: Any) -> None:
    session = capa_requests.Session()
    with runtime_on("legacy", server) as runtime, use_runtime(runtime):
        session.get(f"{server.url}/echo")
    with runtime_on("capa", server) as runtime, use_runtime(runtime):
        assert {"served by": "capa"} == session.get(f"{server.url}/echo").json()


def test_with_legacy_there_is_no_deadline_of_capa(server: Any) -> None:
    url = f"{server.url.replace('127.0.0.1', 'localhost')}/slow/0.3"
    with use_runtime(runtime_on("capa", server, timeout_s=0.05)), pytest.raises(requests.Timeout):
        capa_requests.get(url)
    with runtime_on("legacy", server, timeout_s=0.05) as runtime, use_runtime(runtime):
        assert b"late" == capa_requests.get(url).content


def test_with_legacy_the_functions_share_no_connections(server: Any) -> None:
    server.seen.clear()
    with runtime_on("legacy", server) as runtime, use_runtime(runtime):
        capa_requests.get(f"{server.url}/echo")
        capa_requests.get(f"{server.url}/echo")

    (_, _, first), (_, _, second) = server.seen
    assert first != second


def test_with_legacy_a_mock_is_met_as_by_the_original(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def send(self: object, request: Any, **kwargs: Any) -> requests.Response:
        seen.append(kwargs["timeout"])
        answer = requests.Response()
        answer.status_code, answer.url = 200, request.url
        answer._content = b"mocked"
        return answer

    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", send)
    with runtime_on("legacy", server) as runtime, use_runtime(runtime):
        bodies = [capa_requests.get(server.url).content, capa_requests.Session().get(server.url).content]

    assert [b"mocked", b"mocked"] == bodies
    assert [None, None] == seen


@pytest.mark.parametrize("side", ["shadow", "canary"])
def test_a_side_that_is_not_available_is_refused_with_those_that_are(side: str, server: Any) -> None:
    refused = pytest.raises(UnsupportedError, match=f"side '{side}' is not available yet.*'capa', 'legacy'")
    with use_runtime(runtime_on(side, server)), refused:
        capa_requests.get(server.url)


@pytest.mark.parametrize("side", ["lgcy", ""])
def test_a_value_that_is_no_side_is_refused_with_its_place(side: str, server: Any, tmp_path: Any) -> None:
    message = (
        f"environment: CAPA_ADAPTERS__REQUESTS__SIDE: there is no side '{side}'. Available: 'capa', 'legacy'."
        " Nothing was sent; correct the setting."
    )
    runtime = Runtime(start=tmp_path, environ={"CAPA_ADAPTERS__REQUESTS__SIDE": side})
    with runtime, use_runtime(runtime), pytest.raises(SettingsError) as raised:
        capa_requests.get(server.url)

    assert message == str(raised.value)


@pytest.mark.parametrize(
    ("file", "environ", "is_served_by_capa"),
    [
        ('[adapters.requests]\nside = "legacy"\n', {}, False),
        ('[adapters.requests]\nside = "legacy"\n', {"CAPA_ADAPTERS__REQUESTS__SIDE": "capa"}, True),
        ('profile = "prod"\n[profiles.prod.adapters.requests]\nside = "legacy"\n', {}, False),
        ("", {"CAPA_ADAPTERS__REQUESTS__SIDE": "legacy"}, False),
        ("", {}, True),
    ],
)
def test_the_side_is_set_as_every_setting(
    file: str, environ: dict[str, str], is_served_by_capa: bool, server: Any, tmp_path: Any
) -> None:
    table = f'[invocation.things]\ndriver = "memory"\nlegacy = ["{server.url}"]\n'
    (tmp_path / "capa.toml").write_text(file + table)
    with Runtime(start=tmp_path, environ=environ) as runtime, use_runtime(runtime):
        service = Service("things")
        service.register("echo", lambda _call: {"served by": "capa"})
        runtime.host(service, name="things")
        answer = capa_requests.get(f"{server.url}/echo").json()

    assert is_served_by_capa == ("served by" in answer)
