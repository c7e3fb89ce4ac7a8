"""Requests of Nacos: the first server that can be reached, and the access token of the user."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from capa_core.components.nacos._settings import NacosConfigurationSettings
from capa_core.errors import (
    CapaError,
    ConflictError,
    ExhaustedError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
    UnknownError,
)
from capa_core.http import Answer, Connection, Endpoint, PlainRequest, first_reached

T = TypeVar("T")

Fields = Mapping[str, str]

MOST_BYTES = 64 * 1024 * 1024
"""The longest answer that is read; a server takes 10 MB at most unless it is set otherwise."""
HTML = "text/html"
_CONFIGS = "/v1/cs/configs"
_RENEW = 0.8
"""The part of its life after which a token is replaced."""
_REFUSED = (401, 403)
_CONFLICT = "Cas publish fail"
"""The words with which Nacos refuses a text whose condition does not hold; their status is 500."""
_ERRORS: dict[int, type[CapaError]] = {
    400: InvalidArgumentError,
    401: PermissionDeniedError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    429: ExhaustedError,
    **dict.fromkeys((301, 302, 303, 307, 308), UnavailableError),  # the sign-in page of a proxy
}


class Servers:
    """All servers of one Nacos, the first of which that can be reached answers. Safe for many threads.

    Raises:
        SettingsError: An address is malformed.
    """

    def __init__(self, settings: NacosConfigurationSettings) -> None:
        self._settings = settings
        self._endpoints = tuple(Endpoint(url, verify=settings.verify, size=8) for url in settings.url)
        self.forget()

    @property
    def place(self) -> str:
        """The addresses of the settings."""
        return ", ".join(one.url for one in self._endpoints)

    def ask(self, verb: str, path: str, fields: Fields, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
        """Return the answer to a request; after a refusal, to the same with a new token.

        Raises:
            capa_core.http.NotSentError: No address can be reached.
            OSError: The connection broke, or `timeout_s` passed.
            PermissionDeniedError: The user or the password is wrong.
        """
        end = time.monotonic() + self._settings.timeout_s
        request = self._signed(verb, path, fields, headers, end)
        answer = self._exchange(request, end)
        if answer.status in _REFUSED and self.renew():
            answer = self._exchange(self._signed(verb, path, fields, headers, end), end)
        return answer

    def begin(
        self, path: str, fields: Fields, headers: tuple[tuple[str, str], ...]
    ) -> tuple[Endpoint, Connection]:
        """Post a request whose answer may take long, and return the connection with it; raises as `ask` does."""
        end = time.monotonic() + self._settings.timeout_s
        request = self._signed("POST", path, fields, headers, end)
        return self._first(lambda endpoint: (endpoint, endpoint.send(request, end)))

    def renew(self) -> bool:
        """Drop the token, and return whether there can be another one."""
        self._token = ""
        return bool(self._settings.username)

    def close(self) -> None:
        """Close idle connections."""
        for endpoint in self._endpoints:
            endpoint.close()

    def forget(self) -> None:
        """Drop the connections of the parent in a forked child."""
        self._signing = threading.Lock()
        self._token, self._until = "", 0.0
        for endpoint in self._endpoints:
            endpoint.forget()

    def error(self, answer: Answer, what: str) -> CapaError:
        """Return the error that *answer* to a request for *what* stands for."""
        said = answer.body[:200].decode(errors="replace").strip() if answer.kind != HTML else "a web page"
        kind = UnavailableError if answer.status >= 500 else _ERRORS.get(answer.status, UnknownError)
        if _CONFLICT in said:
            kind = ConflictError
        step = ""
        if kind is PermissionDeniedError:
            step = ". Correct `username` and `password` of the component, or the rights of the user"
        return kind(f"Nacos at {self.place} answers {what} with status {answer.status}: {said}{step}")

    def _signed(
        self, verb: str, path: str, fields: Fields, headers: tuple[tuple[str, str], ...], end: float
    ) -> PlainRequest:
        token = self._signed_in(end)
        query = {"accessToken": token} if token else {}
        if verb != "POST":
            return PlainRequest(verb, _path(path, {**fields, **query}), headers)
        form = ("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8")
        return PlainRequest(verb, _path(path, query), (form, *headers), _encoded(fields).encode())

    def _signed_in(self, end: float) -> str:
        if not self._settings.username or self._settings.password is None:
            return ""
        with self._signing:
            if not self._token or time.monotonic() >= self._until:
                self._sign_in(self._settings.password.reveal(), end)
            return self._token

    def _sign_in(self, password: str, end: float) -> None:
        fields = {"username": self._settings.username, "password": password}
        form = (("Content-Type", "application/x-www-form-urlencoded;charset=UTF-8"),)
        path = "/v1/auth/login"
        answer = self._exchange(PlainRequest("POST", path, form, _encoded(fields).encode()), end)
        if answer.status != 200:
            raise self.error(answer, path)
        found = self.parsed(answer, path)
        try:
            self._token = str(found["accessToken"])
            self._until = time.monotonic() + _RENEW * float(found["tokenTtl"])
        except (TypeError, KeyError, ValueError) as error:
            raise self.malformed(path) from error

    def parsed(self, answer: Answer, what: str) -> Any:
        """Return the JSON of a good answer.

        Raises:
            UnavailableError: It is none, such as the page of a proxy.
        """
        if answer.status != 200:
            raise self.error(answer, what)
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError) as error:
            raise self.malformed(what) from error

    def malformed(self, what: str) -> UnavailableError:
        """Return the error for an answer that is not one of Nacos."""
        return UnavailableError(
            f"{self.place} answers {what} with something that is not Nacos's: is a proxy between, or is the context"
            " path of `url` another one?"
        )

    def _exchange(self, request: PlainRequest, end: float) -> Answer:
        return self._first(lambda endpoint: endpoint.exchange(request, end, most_bytes=MOST_BYTES))

    def _first(self, call: Callable[[Endpoint], T]) -> T:
        endpoints = self._endpoints
        at, found = first_reached(endpoints, call)
        if at:
            self._endpoints = (*endpoints[at:], *endpoints[:at])
        return found


def _encoded(fields: Fields) -> str:
    return urlencode(fields, quote_via=quote, safe="")


def _path(path: str, query: Fields) -> str:
    return f"{path}?{_encoded(query)}" if query else path
