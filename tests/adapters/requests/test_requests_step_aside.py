"""Methods and functions that tests, instrumentation and applications replace are called."""

import http.client
import pickle
from typing import Any
from unittest import mock

import pytest
import requests
import requests_mock
import responses
import urllib3.connectionpool

import capa_requests


def test_responses_answers_in_place_of_the_network() -> None:
    with responses.RequestsMock() as mocked:
        mocked.get("http://mocked.invalid/x", json={"a": 1}, headers={"X-A": "1"})
        by_function = capa_requests.get("http://mocked.invalid/x")
        by_session = capa_requests.Session().get("http://mocked.invalid/x", timeout=3)

    assert ({"a": 1}, "1", {"a": 1}) == (by_function.json(), by_function.headers["X-A"], by_session.json())


def test_responses_sees_the_arguments_of_the_call() -> None:
    matcher = responses.matchers.request_kwargs_matcher({"stream": True, "verify": False, "timeout": None})
    with responses.RequestsMock() as mocked:
        mocked.get("http://mocked.invalid/x", match=[matcher])
        found = capa_requests.get("http://mocked.invalid/x", stream=True, verify=False)

    assert found.ok


def test_responses_refuses_unregistered_urls() -> None:
    with responses.RequestsMock(), pytest.raises(requests.ConnectionError):
        capa_requests.get("http://mocked.invalid/other")


def test_responses_passes_registered_urls_through(server: Any) -> None:
    with responses.RequestsMock() as mocked:
        mocked.add_passthru(server.url)
        found = capa_requests.get(f"{server.url}/echo")

    assert found.status_code == 200


def test_requests_mock_answers_in_place_of_the_network() -> None:
    with requests_mock.Mocker() as mocked:
        mocked.get("http://mocked.invalid/x", text="mocked", cookies={"a": "1"})
        found = capa_requests.Session().get("http://mocked.invalid/x")

    assert ("mocked", "1", 1) == (found.text, found.cookies["a"], mocked.call_count)


def test_requests_mock_answers_one_session_only(server: Any) -> None:
    mocked, free = capa_requests.Session(), capa_requests.Session()
    with requests_mock.Mocker(session=mocked) as mocker:
        mocker.get(f"{server.url}/echo", text="mocked")
        texts = [session.get(f"{server.url}/echo").text == "mocked" for session in (mocked, free)]

    assert texts == [True, False]


def test_requests_mock_lets_real_calls_through(server: Any) -> None:
    with requests_mock.Mocker(real_http=True) as mocked:
        mocked.get("http://mocked.invalid/x", text="mocked")
        found = capa_requests.get(f"{server.url}/echo")

    assert found.json()["path"] == "/echo"


def test_a_mounted_adapter_serves_its_prefix(server: Any) -> None:
    class Fixed(capa_requests.adapters.HTTPAdapter):
        def send(self, request: Any, **kwargs: Any) -> Any:
            found = super().send(request, **kwargs)
            found.reason = f"timeout {kwargs['timeout']}"
            return found

    session = capa_requests.Session()
    session.mount(server.url, Fixed())

    reasons = [session.get(f"{server.url}/echo").reason, session.get(f"{server.url}/echo", timeout=9).reason]

    assert reasons == ["timeout None", "timeout 9"]


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (requests.Session, "request"),
        (requests.Session, "send"),
        (requests.Session, "prepare_request"),
        (requests.Session, "merge_environment_settings"),
        (requests.Session, "get_adapter"),
        (requests.Session, "get_redirect_target"),
        (requests.adapters.HTTPAdapter, "send"),
        (requests.adapters.HTTPAdapter, "get_connection_with_tls_context"),
        (requests.adapters.HTTPAdapter, "build_connection_pool_key_attributes"),
        (requests.adapters.HTTPAdapter, "cert_verify"),
        (requests.adapters.HTTPAdapter, "request_url"),
        (requests.adapters.HTTPAdapter, "add_headers"),
        (requests.adapters.HTTPAdapter, "build_response"),
        (requests.PreparedRequest, "prepare"),
        (requests.PreparedRequest, "prepare_url"),
        (requests.PreparedRequest, "prepare_headers"),
        (requests.PreparedRequest, "prepare_cookies"),
        (requests.PreparedRequest, "prepare_body"),
        (requests.PreparedRequest, "prepare_auth"),
        (requests.PreparedRequest, "prepare_hooks"),
        (requests.sessions, "get_netrc_auth"),
        (requests.sessions, "get_environ_proxies"),
        (requests.sessions, "merge_setting"),
        (requests.sessions, "preferred_clock"),
        (requests.utils, "should_bypass_proxies"),
        (urllib3.connectionpool.HTTPConnectionPool, "urlopen"),
        (urllib3.connectionpool.HTTPConnectionPool, "_make_request"),
        (urllib3.connectionpool.HTTPConnectionPool, "_get_conn"),
        (urllib3.connectionpool.HTTPConnectionPool, "_put_conn"),
        (urllib3.connection.HTTPConnection, "request"),
        (urllib3.connection.HTTPConnection, "getresponse"),
        (urllib3.connection.HTTPConnection, "connect"),
        (http.client.HTTPConnection, "putrequest"),
        (http.client.HTTPConnection, "endheaders"),
        (http.client.HTTPConnection, "getresponse"),
        (http.client.HTTPResponse, "begin"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_replaced_method_is_called(owner: Any, name: str, server: Any) -> None:
    with mock.patch.object(owner, name, autospec=True, side_effect=getattr(owner, name)) as replaced:
        found = capa_requests.Session().get(f"{server.url}/echo")

    assert (200, True) == (found.status_code, replaced.called)


@pytest.mark.parametrize("name", ["prepare_request", "merge_environment_settings", "send", "get_adapter"])
def test_a_method_set_on_one_session_is_called(name: str, server: Any) -> None:
    session = capa_requests.Session()
    own = mock.Mock(side_effect=getattr(session, name))
    setattr(session, name, own)

    session.get(f"{server.url}/echo")

    assert own.called


def test_a_session_class_of_the_application_has_its_methods_called(server: Any) -> None:
    class Prefixed(capa_requests.Session):
        def prepare_request(self, request: Any) -> Any:
            request.url = server.url + request.url
            return super().prepare_request(request)

    assert Prefixed().get("/echo").json()["path"] == "/echo"


def test_the_names_of_the_original_are_reached_and_replaced_through_ours() -> None:
    with mock.patch("capa_requests.sessions.get_netrc_auth") as replaced:
        both = (requests.sessions.get_netrc_auth, capa_requests.sessions.get_netrc_auth)

    assert both == (replaced, replaced)
    assert requests.sessions.get_netrc_auth is requests.utils.get_netrc_auth
    assert "get_netrc_auth" not in vars(capa_requests.sessions)


def test_a_replaced_function_of_the_package_is_called_by_its_users() -> None:
    with mock.patch("capa_requests.get") as replaced:
        capa_requests.get("http://x.invalid")

    replaced.assert_called_once_with("http://x.invalid")


@pytest.mark.parametrize("name", ["request", "get", "options", "head", "post", "put", "patch", "delete"])
def test_a_function_that_a_library_replaces_in_the_package_is_called(name: str) -> None:
    arguments = ("GET", "http://x.invalid") if name == "request" else ("http://x.invalid",)
    with mock.patch.dict(vars(requests), {name: mock.Mock()}):
        getattr(capa_requests, name)(*arguments, timeout=3)
        called = getattr(requests, name).call_args

    assert (arguments, 3) == (called.args, called.kwargs["timeout"])


def _wrapped(url: str, **kwargs: Any) -> Any:
    return _ours(url, **kwargs)


_ours = capa_requests.get


@pytest.mark.parametrize("get", [_ours, _wrapped])
def test_our_function_in_the_place_of_the_originals_is_called_once(get: Any, server: Any) -> None:
    before = len(server.seen)
    with mock.patch.dict(vars(requests), {"get": get}):
        found = capa_requests.get(f"{server.url}/echo")

    assert (200, 1) == (found.status_code, len(server.seen) - before)


def test_a_replaced_session_class_serves_the_functions() -> None:
    with mock.patch("requests.sessions.Session") as replaced:
        capa_requests.get("http://x.invalid")

    assert replaced.called


def test_debug_output_of_the_connection_is_printed(
    server: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)

    capa_requests.Session().get(f"{server.url}/echo")

    assert "send: b'GET /echo HTTP/1.1" in capsys.readouterr().out


def test_urllib3_logs_the_same_as_for_the_original(server: Any, caplog: pytest.LogCaptureFixture) -> None:
    def lines(library: Any) -> list[str]:
        caplog.clear()
        with caplog.at_level("DEBUG"):
            library.Session().get(f"{server.url}/echo")
        return [record.getMessage() for record in caplog.records]

    assert lines(requests) == lines(capa_requests)


def test_retries_of_an_adapter_are_counted_as_by_the_original(server: Any) -> None:
    def steps(library: Any) -> tuple[int, int, Any]:
        session = library.Session()
        retry = library.adapters.Retry(total=2, status_forcelist=[503], backoff_factor=0)
        session.mount("http://", library.adapters.HTTPAdapter(max_retries=retry))
        before = len(server.seen)
        with pytest.raises(requests.exceptions.RetryError):
            session.get(f"{server.url}/status/503")
        sent = len(server.seen) - before
        return sent, len(session.get(f"{server.url}/echo").raw.retries.history), retry.total

    assert steps(requests) == steps(capa_requests)


def test_a_session_survives_pickling(server: Any) -> None:
    session = capa_requests.Session()
    session.headers["X-Kept"] = "yes"
    session.get(f"{server.url}/cookie?a=1")

    copy = pickle.loads(pickle.dumps(session))

    headers = dict(copy.get(f"{server.url}/echo").json()["headers"])
    assert ("yes", "a=1") == (headers["X-Kept"], headers["Cookie"])
