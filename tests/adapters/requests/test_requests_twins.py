"""The same call on the original and on the shim: the results are the same, down to the raw response."""

import io
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from .twins import outcomes

Step = Callable[[ModuleType, str], Any]

CALLS: dict[str, Step] = {
    "plain": lambda lib, url: lib.get(f"{url}/echo"),
    "no path": lambda lib, url: lib.get(url),
    "query in the URL": lambda lib, url: lib.get(f"{url}/echo?a=1&b=2"),
    "query without a path": lambda lib, url: lib.get(f"{url}?a=1"),
    "parameters": lambda lib, url: lib.get(f"{url}/echo", params={"a": 1, "b": ["x y", "ü"], "c": None}),
    "parameters added to a query": lambda lib, url: lib.get(f"{url}/echo?z=9", params={"a": "&/?"}),
    "parameters as text": lambda lib, url: lib.get(f"{url}/echo", params="a=%20b"),
    "parameters as pairs": lambda lib, url: lib.get(f"{url}/echo", params=[("a", 1), ("a", 2)]),
    "fragment": lambda lib, url: lib.get(f"{url}/echo?a=1#part"),
    "path to be quoted": lambda lib, url: lib.get(f"{url}/a b/ü/%7Ex/%2f"),
    "path with dots": lambda lib, url: lib.get(f"{url}/a/./b/../c"),
    "path with two slashes": lambda lib, url: lib.get(f"{url}//a//b"),
    "empty query": lambda lib, url: lib.get(f"{url}/echo?"),
    "empty query before a fragment": lambda lib, url: lib.get(f"{url}/echo", params="#part"),
    "query of a question mark": lambda lib, url: lib.get(f"{url}/echo??"),
    "upper-case scheme and host": lambda lib, url: lib.get(f"{url}/echo".upper().replace("/ECHO", "/echo")),
    "white space before": lambda lib, url: lib.get(f"  {url}/echo"),
    "bytes as URL": lambda lib, url: lib.get(f"{url}/echo".encode()),
    "user in the URL": lambda lib, url: lib.get(f"{url}/echo".replace("//", "//user:pass@")),
    "basic login": lambda lib, url: lib.get(f"{url}/echo", auth=("user", "pass")),
    "digest login": lambda lib, url: lib.get(f"{url}/echo", auth=lib.auth.HTTPDigestAuth("user", "pass")),
    "login by function": lambda lib, url: lib.get(f"{url}/echo", auth=_mark),
    "headers": lambda lib, url: lib.get(f"{url}/echo", headers={"X-One": "1", "accept": "text/html"}),
    "header taken away": lambda lib, url: lib.get(f"{url}/echo", headers={"User-Agent": None}),
    "all headers taken away": lambda lib, url: lib.get(
        f"{url}/echo", headers=dict.fromkeys(("User-Agent", "Accept", "Accept-Encoding", "Connection"))
    ),
    "header of bytes": lambda lib, url: lib.get(f"{url}/echo", headers={"X-One": b"1"}),
    "header in Latin-1": lambda lib, url: lib.get(f"{url}/echo", headers={"X-One": "ü"}),
    "header beyond Latin-1": lambda lib, url: lib.get(f"{url}/echo", headers={"X-One": "☃"}),
    "header with a line break": lambda lib, url: lib.get(f"{url}/echo", headers={"X-One": "1\r\nX-Two: 2"}),
    "header with a line break at its end": lambda lib, url: lib.get(f"{url}/echo", headers={"X-One": "1\n"}),
    "header with a space before": lambda lib, url: lib.get(f"{url}/echo", headers={"X-One": " 1"}),
    "header that is a number": lambda lib, url: lib.get(f"{url}/echo", headers={"X-One": 1}),
    "name of a header with a space": lambda lib, url: lib.get(f"{url}/echo", headers={"X One": "1"}),
    "name of a header with a colon": lambda lib, url: lib.get(f"{url}/echo", headers={"X:One": "1"}),
    "empty header": lambda lib, url: lib.get(f"{url}/echo", headers={"X-One": ""}),
    "own host": lambda lib, url: lib.get(f"{url}/echo", headers={"Host": "example.com"}),
    "own length": lambda lib, url: lib.get(f"{url}/echo", headers={"Content-Length": "0"}),
    "cookies": lambda lib, url: lib.get(f"{url}/echo", cookies={"a": "1", "b": "2"}),
    "cookie header": lambda lib, url: lib.get(f"{url}/echo", headers={"Cookie": "a=1"}),
    "cookie set": lambda lib, url: lib.get(f"{url}/cookie?a=1&b=2"),
    "post nothing": lambda lib, url: lib.post(f"{url}/echo"),
    "post a form": lambda lib, url: lib.post(f"{url}/echo", data={"a": "1", "b": ["2", "3"]}),
    "post text": lambda lib, url: lib.post(f"{url}/echo", data="grüße"),
    "post bytes": lambda lib, url: lib.post(f"{url}/echo", data=b"\x00\xff"),
    "post much": lambda lib, url: lib.post(f"{url}/echo", data=b"x" * 200_000),
    "post JSON": lambda lib, url: lib.post(f"{url}/echo", json={"a": [1, None, "ü"]}),
    "post what has no JSON": lambda lib, url: lib.post(f"{url}/echo", json=float("nan")),
    "post a file object": lambda lib, url: lib.post(f"{url}/echo", data=io.BytesIO(b"file")),
    "post pieces": lambda lib, url: lib.post(f"{url}/echo", data=iter([b"a", b"b"])).json()["body"],
    "post files": lambda lib, url: len(lib.post(f"{url}/echo", files={"f": ("n.txt", b"data")}).content),
    "put": lambda lib, url: lib.put(f"{url}/echo", data="x"),
    "patch": lambda lib, url: lib.patch(f"{url}/echo", json=1),
    "delete": lambda lib, url: lib.delete(f"{url}/echo"),
    "options": lambda lib, url: lib.options(f"{url}/echo"),
    "head": lambda lib, url: lib.head(f"{url}/bytes/10"),
    "head of a redirect": lambda lib, url: lib.head(f"{url}/redirect/302?to=/echo"),
    "a verb of one's own": lambda lib, url: lib.request("get", f"{url}/echo"),
    "a verb in bytes": lambda lib, url: lib.request(b"GET", f"{url}/echo"),
    "a verb with a space": lambda lib, url: lib.request("GE T", f"{url}/echo"),
    "not found": lambda lib, url: lib.get(f"{url}/status/404"),
    "not found, raised": lambda lib, url: lib.get(f"{url}/status/404").raise_for_status(),
    "no content": lambda lib, url: lib.get(f"{url}/status/204"),
    "not modified": lambda lib, url: lib.get(f"{url}/status/304"),
    "gzip": lambda lib, url: lib.get(f"{url}/gzip"),
    "deflate": lambda lib, url: lib.get(f"{url}/deflate"),
    "broken gzip": lambda lib, url: lib.get(f"{url}/notgzip"),
    "chunked": lambda lib, url: lib.get(f"{url}/chunked"),
    "much": lambda lib, url: lib.get(f"{url}/bytes/300000"),
    "closed after": lambda lib, url: lib.get(f"{url}/close"),
    "redirect": lambda lib, url: lib.get(f"{url}/redirect/302?to=/echo"),
    "redirect of a post": lambda lib, url: lib.post(f"{url}/redirect/302?to=/echo", data="x"),
    "redirect that keeps the verb": lambda lib, url: lib.post(f"{url}/redirect/307?to=/echo", data="x"),
    "redirect to another scheme": lambda lib, url: lib.get(f"{url}/redirect/302?to=ftp://127.0.0.1/"),
    "redirect not followed": lambda lib, url: lib.get(f"{url}/redirect/301?to=/echo", allow_redirects=False),
    "redirect without end": lambda lib, url: lib.get(f"{url}/redirect/302?to=/redirect/302%3Fto=/redirect/302"),
    "streamed": lambda lib, url: b"".join(lib.get(f"{url}/bytes/3000", stream=True).iter_content(700)),
    "streamed by line": lambda lib, url: list(lib.get(f"{url}/chunked", stream=True).iter_lines()),
    "raw": lambda lib, url: lib.get(f"{url}/gzip", stream=True).raw.read(5),
    "raw, decoded": lambda lib, url: lib.get(f"{url}/gzip", stream=True).raw.read(5, decode_content=True),
    "streamed and closed": lambda lib, url: lib.get(f"{url}/bytes/30", stream=True).close(),
    "timeouts apart": lambda lib, url: lib.get(f"{url}/echo", timeout=(5, 5)),
    "no timeout": lambda lib, url: lib.get(f"{url}/echo", timeout=None),
    "timed out": lambda lib, url: lib.get(f"{url}/slow/1", timeout=0.1),
    "timeout of nothing": lambda lib, url: lib.get(f"{url}/echo", timeout=0),
    "timeout of three": lambda lib, url: lib.get(f"{url}/echo", timeout=(1, 2, 3)),
    "no scheme": lambda lib, url: lib.get("localhost/x"),
    "no host": lambda lib, url: lib.get("http:///x"),
    "a host that no one has": lambda lib, url: lib.get("http://no.such.host.invalid/"),
    "a host with an empty label": lambda lib, url: lib.get("http://.example.com/"),
    "a label too long": lambda lib, url: lib.get(f"http://{'a' * 64}.invalid/"),
    "a port out of range": lambda lib, url: lib.get("http://127.0.0.1:99999/"),
    "a port that is not a number": lambda lib, url: lib.get("http://127.0.0.1:x/"),
    "a port that nobody listens at": lambda lib, url: lib.get("http://127.0.0.1:1/"),
    "another scheme": lambda lib, url: lib.get("gopher://127.0.0.1/"),
    "a proxy that nobody listens at": lambda lib, url: lib.get(f"{url}/echo", proxies={"http": "http://127.0.0.1:1"}),
    "TLS to a server without it": lambda lib, url: lib.get(url.replace("http:", "https:")),
    "a CA bundle that is not there": lambda lib, url: lib.get("https://127.0.0.1:1/", verify="/no/such/file"),
    "a client certificate that is not there": lambda lib, url: lib.get("https://127.0.0.1:1/", cert="/no/such/file"),
    "hook": lambda lib, url: lib.get(f"{url}/echo", hooks={"response": _hook}),
}  # fmt: skip


def _mark(request: Any) -> Any:
    request.headers["X-Marked"] = "yes"
    return request


def _hook(response: Any, **_: Any) -> None:
    response.reason = "hooked"


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_call_has_the_same_result_as_the_original(call: Step, server: Any) -> None:
    original, shim = outcomes(lambda library: call(library, server.url))

    assert original == shim


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_call_on_a_session_used_before_has_the_same_result(call: Step, server: Any) -> None:
    def twice(library: ModuleType) -> Any:
        with library.Session() as session:
            session.auth_module = library.auth
            session.get(f"{server.url}/cookie?before=1")
            return call(_On(library, session), server.url)

    original, shim = outcomes(twice)

    assert original == shim


class _On:
    """A library whose calls go through one session."""

    def __init__(self, library: ModuleType, session: Any) -> None:
        self._library, self._session = library, session

    def __getattr__(self, name: str) -> Any:
        verbs = {"get", "post", "put", "patch", "delete", "options", "head", "request"}
        return getattr(self._session if name in verbs else self._library, name)
