"""Requests to etcd by the JSON gateway that each member has.

Source: https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/
"""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from capa_core.components.etcd._errors import UNAUTHENTICATED, EtcdError
from capa_core.components.etcd._settings import EtcdSettings
from capa_core.http import Connection, Endpoint, PlainRequest, first_reached

T = TypeVar("T")
Json = dict[str, Any]

_UNKNOWN = 2
_MOST_BYTES = 512 * 1024**2
"""The longest answer that is read: a page of the largest values."""


class EtcdClient:
    """The members of one cluster, the first of which that can be reached answers. Safe for many threads.

    Raises:
        SettingsError: An address is malformed.
    """

    def __init__(self, settings: EtcdSettings) -> None:
        self._settings = settings
        self._endpoints = [Endpoint(url, verify=settings.verify, size=16) for url in settings.url]
        self._token = ""

    @property
    def place(self) -> str:
        """The addresses, safe to show."""
        return ", ".join(endpoint.url for endpoint in self._endpoints)

    def call(self, path: str, body: Mapping[str, Any], *, limit_s: float = math.inf) -> Json:
        """Return the answer to a request, within `timeout_s` and *limit_s*.

        Raises:
            EtcdError: The member refuses it.
            OSError: No member can be reached, the connection broke, or the time passed.
        """
        end = time.monotonic() + min(self._settings.timeout_s, limit_s)
        try:
            return self._exchange(path, body, end)
        except EtcdError as error:
            if error.code != UNAUTHENTICATED or not self._token:
                raise
            self._token = ""  # it was for a while only
            return self._exchange(path, body, end)

    def watch(self, body: Mapping[str, Any], end: float) -> Iterator[Json]:
        """Yield what a watch gives, until *end* (monotonic), or until the member ends it.

        Raises:
            EtcdError: The member refuses it.
            OSError: No member can be reached, or the connection broke.
        """
        request = self._request("/v3/watch", {"create_request": body}, end)

        def send(endpoint: Endpoint) -> tuple[Endpoint, Connection]:
            return endpoint, endpoint.send(request, end)

        endpoint, connection = self._first(send)
        try:
            response = connection.getresponse()
            rest = b""
            for piece in endpoint.body(connection, response):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield _parsed(line, response.status, endpoint.url)["result"]
        except TimeoutError:
            return
        finally:
            connection.close()

    def close(self) -> None:
        """Close idle connections."""
        for endpoint in self._endpoints:
            endpoint.close()

    def forget(self) -> None:
        """Drop the connections of the parent in a forked child."""
        for endpoint in self._endpoints:
            endpoint.forget()

    def _exchange(self, path: str, body: Mapping[str, Any], end: float) -> Json:
        request = self._request(path, body, end)

        def exchange(endpoint: Endpoint) -> Json:
            answer = endpoint.exchange(request, end, most_bytes=_MOST_BYTES)
            return _parsed(answer.body, answer.status, endpoint.url)

        return self._first(exchange)

    def _request(self, path: str, body: Mapping[str, Any], end: float) -> PlainRequest:
        if self._settings.user and not self._token and path != "/v3/auth/authenticate":
            words = {"name": self._settings.user, "password": self._settings.password.reveal()}
            self._token = str(self._exchange("/v3/auth/authenticate", words, end)["token"])
        headers = (("Authorization", self._token),) if self._token else ()
        return PlainRequest("POST", path, headers, json.dumps(body).encode())

    def _first(self, call: Callable[[Endpoint], T]) -> T:
        at, found = first_reached(self._endpoints, call)
        if at:  # the others follow, in their order
            self._endpoints = [*self._endpoints[at:], *self._endpoints[:at]]
        return found


def encoded(data: bytes) -> str:
    """Return *data* as the gateway takes bytes."""
    return base64.b64encode(data).decode()


def decoded(text: str) -> bytes:
    """Return the bytes that the gateway gave as *text*."""
    return base64.b64decode(text)


def after_all(prefix: bytes) -> bytes:
    """Return the end of the range of all keys that begin with *prefix*: a zero byte means the end of all keys."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else b"\0"


def _has_header(found: Json) -> bool:
    """Return whether it is an answer of etcd, or the piece of a watch: each has the revision of the cluster."""
    whole = found.get("result", found)
    return isinstance(whole, dict) and isinstance(whole.get("header"), dict)


def _parsed(body: bytes, status: int, place: str) -> Json:
    """Return the JSON of an answer.

    Raises:
        EtcdError: It is a refusal.
        OSError: It is no answer of etcd.
    """
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not ({"error", "code"} & found.keys() or _has_header(found)):
        raise OSError(
            f"{place} answered with status {status} and {len(body)} bytes that are not etcd's JSON: a proxy or another"
            " server may listen there"
        )
    if status >= 400 or "error" in found:
        refusal = found["error"] if isinstance(found.get("error"), dict) else found  # a dict within a stream
        code = refusal.get("code", refusal.get("grpc_code", _UNKNOWN))
        words = str(refusal.get("message") or refusal.get("error"))
        raise EtcdError(code if isinstance(code, int) else _UNKNOWN, words, place)
    return found
