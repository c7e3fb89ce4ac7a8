"""Bodies that come from a mock library or an adapter of the application are read as the original reads them."""

import io
from types import ModuleType
from typing import Any

import pytest
import requests_mock
import responses
from urllib3.response import HTTPResponse

from .twins import outcomes

URL = "http://mocked.invalid/x"


@pytest.mark.parametrize("length", ["3", "2", "100", "3, 3", "100, 100", "three", "-1"])
def test_responses_may_announce_another_length(length: str) -> None:
    def step(library: ModuleType) -> Any:
        with responses.RequestsMock() as mocked:
            mocked.get(
                URL, body=b"abc", headers={"Content-Length": length}, auto_calculate_content_length=False
            )
            return library.get(URL).content

    original, shim = outcomes(step)

    assert original == shim


def test_an_answer_of_requests_mock_is_closed_once_it_is_read() -> None:
    def step(library: ModuleType) -> Any:
        with requests_mock.Mocker() as mocked:
            mocked.get(URL, text="abc")
            found = library.get(URL)
        return found.text, found.raw.closed

    original, shim = outcomes(step)

    assert original == shim == ("abc", True)


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "3"}, {"Content-Length": "9"}])
def test_a_file_that_an_adapter_answers_with_is_closed_once_it_is_read(headers: dict[str, str]) -> None:
    def step(library: ModuleType) -> Any:
        body = io.BytesIO(b"abc")
        session = library.Session()
        session.mount(URL, _answering(library, body, headers))
        try:
            found = session.get(URL)
            return found.content, body.closed, found.raw.closed
        except library.RequestException as error:
            return type(error), body.closed

    original, shim = outcomes(step)

    assert original == shim


def _answering(library: ModuleType, body: io.BytesIO, headers: dict[str, str]) -> Any:
    class Files(library.adapters.BaseAdapter):  # type: ignore[name-defined]
        def send(self, request: Any, **_: Any) -> Any:
            raw = HTTPResponse(body=body, headers=headers, status=200, preload_content=False)
            return library.adapters.HTTPAdapter().build_response(request, raw)

        def close(self) -> None:
            pass

    return Files()
