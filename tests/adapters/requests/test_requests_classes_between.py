"""A class of another library that stands between ours and the original's is not passed over."""

from typing import Any

import pytest
import requests

import capa_requests


@pytest.mark.parametrize("name", ["request", "send"])
def test_a_session_class_between_is_not_passed_over(name: str, server: Any) -> None:
    calls = []

    class Theirs(requests.Session):
        pass

    class Ours(capa_requests.Session):
        pass

    class Both(Ours, Theirs):
        pass

    setattr(Theirs, name, _noting(calls, getattr(requests.Session, name)))
    found = Both().get(f"{server.url}/echo")

    assert (200, 1) == (found.status_code, len(calls))


def test_an_adapter_class_between_is_not_passed_over(server: Any) -> None:
    calls = []

    class Theirs(requests.adapters.HTTPAdapter):
        send = _noting(calls, requests.adapters.HTTPAdapter.send)

    class Ours(capa_requests.adapters.HTTPAdapter):
        pass

    class Both(Ours, Theirs):
        pass

    session = capa_requests.Session()
    session.mount(server.url, Both())
    found = session.get(f"{server.url}/echo")

    assert (200, 1) == (found.status_code, len(calls))


def _noting(calls: list[str], method: Any) -> Any:
    def noting(*args: Any, **kwargs: Any) -> Any:
        calls.append(method.__name__)
        return method(*args, **kwargs)

    return noting
