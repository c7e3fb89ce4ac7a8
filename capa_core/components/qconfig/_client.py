"""Requests of QConfig's client interface, version 2."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar
from urllib.parse import quote, urlencode

from capa_core.components.qconfig._settings import QConfigSettings
from capa_core.errors import (
    CapaError,
    ExhaustedError,
    InvalidArgumentError,
    PermissionDeniedError,
    UnavailableError,
    UnknownError,
)
from capa_core.http import Answer, Connection, Endpoint, PlainRequest, first_reached

T = TypeVar("T")

MISSING = -1
"""The number of a file that is not there. A file that was removed has a smaller one."""
_MOST_BYTES = 64 * 1024 * 1024
_CHECK = "/client/checkupdatev2"
_POLL = "/client/longPollingCheckupdatev2"
_LOAD = "/client/getconfigv2"


_KINDS: dict[int, type[CapaError]] = {
    400: InvalidArgumentError,
    401: PermissionDeniedError,
    403: PermissionDeniedError,
    429: ExhaustedError,
    **dict.fromkeys((301, 302, 303, 307, 308), UnavailableError),  # the sign-in page of a proxy
}


class File(NamedTuple):
    """One file of an application."""

    application: str
    name: str


class Version(NamedTuple):
    """The number of a file in the profile that it comes from."""

    number: int
    profile: str

    @property
    def is_there(self) -> bool:
        """Whether there is such a file."""
        return self.number > MISSING


class Servers:
    """All servers of one QConfig, the first of which that can be reached answers. Safe for many threads.

    Raises:
        SettingsError: An address is malformed.
    """

    def __init__(self, settings: QConfigSettings) -> None:
        self._settings = settings
        self._endpoints = tuple(Endpoint(url, verify=settings.verify, size=8) for url in settings.url)

    @property
    def place(self) -> str:
        """The addresses of the settings."""
        return ", ".join(one.url for one in self._endpoints)

    def latest(self, file: File) -> Version:
        """Return the version that a file has now."""
        body = _lines({file: Version(MISSING, self._settings.profile)})
        found = self.changes(self._ask(PlainRequest("POST", _CHECK, self._headers(), body)))
        return found.get(file, Version(MISSING, self._settings.profile))

    def load(self, file: File, version: Version) -> str | None:
        """Return the text of a version; `None` if it is gone."""
        query = {"group": file.application, "dataId": file.name}
        query |= {"version": str(version.number), "loadProfile": version.profile}
        path = f"{_LOAD}?{urlencode(query, quote_via=quote, safe='')}"
        answer = self._ask(PlainRequest("GET", path, self._headers()))
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self._error(answer, file.name)
        return answer.body.decode("utf-8-sig", errors="replace")

    def begin(self, known: Mapping[File, Version]) -> tuple[Endpoint, Connection]:
        """Send a poll, which the server answers when a file has another version than *known*."""
        end = time.monotonic() + self._settings.timeout_s
        request = PlainRequest("POST", _POLL, self._headers(), _lines(known))
        return self._first(lambda endpoint: (endpoint, endpoint.send(request, end)))

    def changes(self, answer: Answer) -> dict[File, Version]:
        """Return the versions in an answer to a check or a poll; none if nothing has changed.

        Raises:
            PermissionDeniedError: The token is wrong, or a file is another application's own.
            UnavailableError: The server failed, or the answer is not one of QConfig.
        """
        if answer.status == 304:
            return {}
        if answer.status != 200:
            raise self._error(answer, "a check of versions")
        found = {}
        for line in answer.body.decode(errors="replace").splitlines() or [
            ""
        ]:  # QConfig has 304 for no change
            words = [word.strip() for word in line.split(",")]
            if len(words) != 4 or not words[2].lstrip("-").isdecimal():
                raise UnavailableError(
                    f"QConfig at {self.place} answers a check of versions with {line!r:.60}: is a proxy between?"
                )
            found[File(words[0], words[1])] = Version(int(words[2]), words[3])
        return found

    def close(self) -> None:
        """Close idle connections."""
        for endpoint in self._endpoints:
            endpoint.close()

    def forget(self) -> None:
        """Drop the connections of the parent in a forked child."""
        for endpoint in self._endpoints:
            endpoint.forget()

    def _headers(self) -> tuple[tuple[str, str], ...]:
        own = self._settings
        told = {
            "token": own.token.reveal() if own.token else "",
            "env": own.env,
            "subEnv": own.sub_env,
            "profile": own.profile,
            "port": str(own.port),
            "needPurge": "true",
        }
        return tuple(told.items())

    def _ask(self, request: PlainRequest) -> Answer:
        end = time.monotonic() + self._settings.timeout_s
        return self._first(lambda endpoint: endpoint.exchange(request, end, most_bytes=_MOST_BYTES))

    def _first(self, call: Callable[[Endpoint], T]) -> T:
        endpoints = self._endpoints
        at, found = first_reached(endpoints, call)
        if at:
            self._endpoints = (*endpoints[at:], *endpoints[:at])
        return found

    def _error(self, answer: Answer, what: str) -> CapaError:
        kind = UnavailableError if answer.status >= 500 else _KINDS.get(answer.status, UnknownError)
        step = ""
        if kind is PermissionDeniedError:
            step = ". Correct `token` and `application`, or make the file of another application public"
        return kind(f"QConfig at {self.place} answers {what} with status {answer.status}{step}")


def _lines(known: Mapping[File, Version]) -> bytes:
    return "\n".join(
        f"{file.application},{file.name},{version.number},{version.profile}"
        for file, version in known.items()
    ).encode()
