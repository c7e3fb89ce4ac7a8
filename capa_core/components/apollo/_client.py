"""Requests to Apollo's config services: their addresses, access keys, and the polls that are held."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import quote, urlencode

from capa_core.components.apollo._answers import MOST_BYTES, malformed, parsed
from capa_core.components.apollo._settings import ApolloConfigurationSettings
from capa_core.errors import SettingsError
from capa_core.http import Answer, Connection, Endpoint, NotSentError, PlainRequest, first_reached

T = TypeVar("T")

Query = Mapping[str, str]

META_S = 300.0
"""How long the addresses of a meta server are kept."""

HINT = (
    "Correct `secret` of the component in capa.toml, and compare the clock of this machine with the server's"
)


class ConfigServices:
    """All config services of one Apollo, the first of which that can be reached answers. Safe for many threads.

    Raises:
        SettingsError: An address is malformed.
    """

    def __init__(self, settings: ApolloConfigurationSettings) -> None:
        self._settings = settings
        self._meta = self._endpoint(settings.meta) if settings.meta else None
        self._endpoints = () if self._meta else tuple(map(self._endpoint, settings.url))
        self._asked_at = -META_S

    @property
    def place(self) -> str:
        """The address that the settings name."""
        return self._meta.url if self._meta else ", ".join(one.url for one in self._endpoints)

    def get(self, app_id: str, path: str, query: Query) -> tuple[Answer, str]:
        """Return the answer to a signed request, and its place for messages.

        Raises:
            NotSentError: No address can be reached.
            OSError: The connection broke, or `timeout_s` passed.
        """
        end = time.monotonic() + self._settings.timeout_s

        def exchange(endpoint: Endpoint) -> tuple[Answer, str]:
            request = self._request(endpoint, app_id, path, query)
            return endpoint.exchange(request, end, most_bytes=MOST_BYTES), f"{endpoint.url}{path}"

        return self._first(exchange, end)

    def begin(self, app_id: str, path: str, query: Query) -> tuple[Endpoint, Connection]:
        """Send a request whose answer may take long, and return the connection with it; raises as `get` does."""
        end = time.monotonic() + self._settings.timeout_s

        def send(endpoint: Endpoint) -> tuple[Endpoint, Connection]:
            return endpoint, endpoint.send(self._request(endpoint, app_id, path, query), end)

        return self._first(send, end)

    def close(self) -> None:
        """Close idle connections."""
        for endpoint in self._all():
            endpoint.close()

    def forget(self) -> None:
        """Drop the connections of the parent in a forked child."""
        for endpoint in self._all():
            endpoint.forget()

    def _first(self, call: Callable[[Endpoint], T], end: float) -> T:
        endpoints = self._known(end)
        if not endpoints:
            raise SettingsError(f"the meta server {self.place} knows no config service: start one")
        try:
            at, found = first_reached(endpoints, call)
        except NotSentError:
            self._asked_at = -META_S  # they may have moved
            raise
        if at:
            self._endpoints = (*endpoints[at:], *endpoints[:at])
        return found

    def _known(self, end: float) -> tuple[Endpoint, ...]:
        if self._meta is not None and time.monotonic() - self._asked_at >= META_S:
            self._ask(self._meta, end)
        return self._endpoints

    def _ask(self, meta: Endpoint, end: float) -> None:
        settings = self._settings
        path = _path("/services/config", {"appId": settings.app_id, "ip": settings.client_ip})
        place = f"{meta.url}{path}"
        answer = meta.exchange(PlainRequest("GET", meta.prefix + path), end, most_bytes=MOST_BYTES)
        try:
            urls = [one["homepageUrl"] for one in parsed(answer, place, hint=HINT)]
        except (TypeError, KeyError) as error:
            raise malformed(place) from error
        kept = {endpoint.url: endpoint for endpoint in self._endpoints}
        self._endpoints = tuple(kept.pop(url) if url in kept else self._endpoint(url) for url in urls)
        self._asked_at = time.monotonic()
        for gone in kept.values():
            gone.close()

    def _request(self, endpoint: Endpoint, app_id: str, path: str, query: Query) -> PlainRequest:
        target = _path(path, query)
        return PlainRequest("GET", target, self._signed(app_id, endpoint.prefix + target))

    def _signed(self, app_id: str, target: str) -> tuple[tuple[str, str], ...]:
        secret = self._settings.secrets.get(app_id, self._settings.secret)
        if not secret:
            return ()
        stamp = str(int(time.time() * 1000))
        digest = hmac.new(secret.reveal().encode(), f"{stamp}\n{target}".encode(), hashlib.sha1).digest()
        signature = base64.b64encode(digest).decode()
        return ("Timestamp", stamp), ("Authorization", f"Apollo {app_id}:{signature}")

    def _endpoint(self, url: str) -> Endpoint:
        return Endpoint(url, verify=self._settings.verify, size=8)

    def _all(self) -> list[Endpoint]:
        return [*self._endpoints, *([self._meta] if self._meta else [])]


def quoted(*parts: str) -> str:
    """Return a path of percent-encoded *parts*."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _path(path: str, query: Query) -> str:
    # A raw `+` is a space to the server, and a merged release key has one.
    text = urlencode({key: value for key, value in query.items() if value}, quote_via=quote, safe="")
    return f"{path}?{text}" if text else path
