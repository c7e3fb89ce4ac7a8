"""A name that a test replaces with a mock or a subclass has the effect that it has in the original."""

from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any
from unittest import mock

import pytest
import requests

import capa_requests

MODULES = ["requests", "requests.adapters", "requests.api", "requests.sessions"]


def _names() -> Iterator[tuple[str, str]]:
    for module in MODULES:
        for name, value in list(vars(import_module(module)).items()):
            ours = getattr(value, "__module__", "requests").startswith(("requests", "urllib3"))
            if ours and not name.startswith("_") and not isinstance(value, ModuleType):
                yield module, name


def _steps(url: str) -> dict[str, Callable[[ModuleType], Any]]:
    request = requests.Request("POST", f"{url}/echo", data="x").prepare()
    return {
        "function": lambda lib: lib.get(f"{url}/redirect/302?to=/echo", params={"a": "1"}),
        "post": lambda lib: lib.api.post(f"{url}/echo", json={}, headers={"X-A": "1"}),
        "session": lambda lib: lib.Session().get(f"{url}/cookie?a=1", cookies={"b": "2"}),
        "module's session": lambda lib: lib.sessions.session().put(f"{url}/echo", data=b"x", timeout=3),
        "prepared": lambda lib: lib.sessions.Session().send(request),
        "adapter": lambda lib: lib.adapters.HTTPAdapter().send(request),
        "no server": lambda lib: lib.head("http://127.0.0.1:1/"),
    }


def _replacements(value: Any) -> Iterator[Any]:
    is_class = isinstance(value, type)
    yield mock.Mock(side_effect=value) if callable(value) and not is_class else mock.Mock()
    if is_class:
        yield type(value.__name__, (value,), {})


def _effects(library: ModuleType, owner: ModuleType, name: str, url: str) -> list[Any]:
    """Return the outcome of each step while *name* is replaced, for each replacement."""
    effects: list[Any] = []
    for replacement in _replacements(getattr(owner, name)):
        for label, step in _steps(url).items():
            with mock.patch.object(owner, name, replacement):
                try:
                    outcome: Any = step(library)
                except Exception as error:
                    outcome = error
            effects.append((label, type(outcome).__name__, getattr(outcome, "status_code", None) == 200))
        if isinstance(replacement, mock.Mock):
            effects.append(replacement.called)
    return effects


# A call that fails because of a mock leaves its connection to the garbage collector, in the original too.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("module", "name"), list(_names()))
def test_a_replaced_name_has_the_effect_that_it_has_in_the_original(
    module: str, name: str, server: Any
) -> None:
    ours = import_module(f"capa_{module}")

    if name == "TimeoutSauce":
        pytest.skip("the original gets what is left until the deadline, which a mock refuses in other words")
    original = _effects(requests, import_module(module), name, server.url)
    shim = _effects(capa_requests, ours, name, server.url)

    assert original == shim
