"""A method that has been replaced in the original is called as the original calls it."""

from collections.abc import Callable
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
import requests

import capa_requests
from capa_requests.adapters import HTTPAdapter

from .twins import outcomes

URL = "http://replaced.invalid/x"
REQUEST = requests.Request("GET", URL).prepare()

CALLS: dict[str, Callable[[ModuleType], Any]] = {
    "function": lambda lib: lib.get(URL, headers={"X-A": "1"}),
    "method": lambda lib: lib.Session().post(URL, json={}, timeout=3),
    "arguments by place": lambda lib: lib.Session().request("GET", URL, {"a": "1"}, None, {"X-A": "1"}),
    "arguments by name": lambda lib: lib.Session().request(url=URL, method="GET", timeout=None),
    "timeout by place": lambda lib: lib.Session().request("GET", URL, *[None] * 6, 3),
    "prepared": lambda lib: lib.Session().send(REQUEST),
    "prepared, with options": lambda lib: lib.Session().send(REQUEST, stream=True, allow_redirects=False),
    "adapter": lambda lib: lib.adapters.HTTPAdapter().send(REQUEST),
    "adapter, arguments by place": lambda lib: lib.adapters.HTTPAdapter().send(REQUEST, True, 3),
    "adapter, arguments by name": lambda lib: lib.adapters.HTTPAdapter().send(request=REQUEST, cert="c"),
}


def _answer() -> requests.Response:
    response = requests.Response()
    response.status_code, response._content = 204, b""
    return response


@pytest.mark.parametrize(
    ("owner", "name"),
    [(requests.Session, "request"), (requests.Session, "send"), (requests.adapters.HTTPAdapter, "send")],
    ids=lambda value: getattr(value, "__name__", value),
)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_replacement_is_called_with_the_arguments_of_the_original(
    call: Callable[[ModuleType], Any], owner: type, name: str
) -> None:
    def step(library: ModuleType) -> Any:
        calls = []

        def replacement(_: Any, *args: Any, **kwargs: Any) -> requests.Response:
            calls.append((_plain(args), {key: _plain(value) for key, value in kwargs.items()}))
            return _answer()

        with (
            mock.patch.object(owner, name, replacement),
            mock.patch("socket.create_connection", side_effect=OSError),
        ):
            try:
                call(library)
            except requests.ConnectionError:
                calls.append("went out")
        return calls

    original, shim = outcomes(step)

    assert original == shim


def _plain(value: Any) -> Any:
    """Return *value* in a form that two equal calls have in common."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    return (value.method, value.url) if isinstance(value, requests.PreparedRequest) else value


def test_a_replacement_may_pass_a_call_on_to_our_method(server: Any) -> None:
    seen = []

    def spy(adapter: Any, request: Any, **kwargs: Any) -> Any:
        seen.append(request.url)
        return ours(adapter, request, **kwargs)

    ours = HTTPAdapter.send
    with mock.patch("requests.adapters.HTTPAdapter.send", spy):
        found = capa_requests.get(f"{server.url}/redirect/302?to=/echo")

    assert (200, 2) == (found.status_code, len(seen))


def test_a_replacement_may_pass_a_call_on_that_takes_the_way_of_the_original(server: Any) -> None:
    with mock.patch("requests.adapters.HTTPAdapter.send", HTTPAdapter.send):
        found = capa_requests.post(f"{server.url}/echo", data=iter([b"a"]), proxies={"http": server.url})

    assert found.status_code == 200


def test_another_call_that_a_replacement_makes_is_replaced_too(server: Any) -> None:
    seen = []

    def spy(adapter: Any, request: Any, **kwargs: Any) -> Any:
        seen.append(request.path_url)
        if request.path_url == "/echo":
            capa_requests.get(f"{server.url}/token")
        return ours(adapter, request, **kwargs)

    ours = HTTPAdapter.send
    with mock.patch("requests.adapters.HTTPAdapter.send", spy):
        capa_requests.get(f"{server.url}/echo")

    assert seen == ["/echo", "/token"]


def test_a_replacement_that_fails_leaves_nothing_behind() -> None:
    adapter = HTTPAdapter()
    replaced = mock.Mock(side_effect=[OSError, _answer()])

    with mock.patch("requests.adapters.HTTPAdapter.send", replaced):
        with pytest.raises(OSError):
            adapter.send(REQUEST)
        found = adapter.send(REQUEST)

    assert found.status_code == 204
