"""Sessions, signing, downloads."""

import pytest
import requests
import responses
from requests.exceptions import ChunkedEncodingError

from shop.http import SignedRequest, download, new_session, signature_of
from shop.http.session import DEFAULT_TIMEOUT

URL = "http://files.example.com/list.csv"


@pytest.fixture
def sent(monkeypatch):
    """Collect requests instead of sending them."""
    seen = []

    def send(self, request, **kwargs):
        seen.append((request, kwargs))
        answer = requests.Response()
        answer.status_code = 204
        answer.request = request
        answer.url = request.url
        answer.raw = None
        answer._content = b""
        return answer

    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", send)
    return seen


def test_every_request_has_a_timeout(sent):
    new_session().get(URL)

    assert sent[0][1]["timeout"] == DEFAULT_TIMEOUT


def test_a_timeout_of_the_caller_wins(sent):
    new_session().get(URL, timeout=1)

    assert sent[0][1]["timeout"] == 1


def test_a_session_signs_in(sent):
    new_session("ann", "secret").get(URL)

    assert sent[0][0].headers["Authorization"].startswith("Basic ")


def test_the_answering_instance_is_noted():
    with responses.RequestsMock() as mock:
        mock.get(URL, body="x", headers={"x-served-by": "catalog-7"})

        assert new_session().get(URL).served_by == "catalog-7"


def test_safe_requests_are_repeated_until_the_server_is_back():
    with responses.RequestsMock(assert_all_requests_are_fired=True) as mock:
        mock.get(URL, status=503)
        mock.get(URL, status=503)
        mock.get(URL, json={"ok": True})

        assert new_session().get(URL).json() == {"ok": True}
        assert len(mock.calls) == 3


def test_orders_are_never_posted_twice():
    with responses.RequestsMock() as mock:
        mock.post(URL, status=503)

        assert new_session().post(URL).status_code == 503
        assert len(mock.calls) == 1


def test_the_body_is_signed():
    prepared = requests.Request("POST", URL, data="hello", auth=SignedRequest("k")).prepare()

    assert prepared.headers["X-Shop-Signature"] == signature_of(b"hello", "k")


def test_signing_is_by_secret():
    assert SignedRequest("a") == SignedRequest("a")
    assert SignedRequest("a") != SignedRequest("b")


@responses.activate
def test_a_download_arrives_whole(tmp_path):
    responses.get(URL, body=b"sku\n" * 10_000)

    assert download(new_session(), URL, tmp_path / "list.csv") == 40_000
    assert [each.name for each in tmp_path.glob("list*")] == ["list.csv"]


@responses.activate
def test_a_download_that_breaks_off_leaves_nothing(tmp_path):
    responses.get(URL, body=ChunkedEncodingError("cut"))

    with pytest.raises(ChunkedEncodingError):
        download(new_session(), URL, tmp_path / "list.csv")
    assert list(tmp_path.glob("list*")) == []


@responses.activate
def test_a_refused_download_is_an_error(tmp_path):
    responses.get(URL, status=404)

    with pytest.raises(requests.HTTPError) as caught:
        download(new_session(), URL, tmp_path / "list.csv")
    assert caught.value.response.status_code == 404
