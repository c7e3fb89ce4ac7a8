"""Nacos test server: one of our own, written from the documented HTTP interface, since no real one can be had here."""

import threading
import time
from collections.abc import Iterator

import pytest

from ._nacos_http import Handler
from ._process import free_port
from ._program import OwnServer
from ._threaded import ThreadedServer

PROGRAM = OwnServer("nacos", "of our own, written from the documented interface", __file__, usual=False)

THREADS = "nacos-test-server"
Place = tuple[str, str, str]
"""dataId, group, namespace."""


class NacosServer:
    """Texts in memory, in threads of the test's process.

    Attributes:
        hold_s: How long a poll is held at most.
        lag_s: How long after a write the old text is still shown.
        password: That of the user `nacos`; `""` asks for none.
        token_s: The life of an access token as the client is told it.
        tokens: Those that are valid.
        broken: How it answers wrongly: `500`, `html` or `truncated`, or as a proxy: `nothing`, `404` or `302`;
            `""` for rightly.
        seen: Verb and path of each request.
    """

    def __init__(self) -> None:
        self.hold_s, self.lag_s, self.token_s = 30.0, 0.0, 18_000
        self.password, self.broken = "", ""
        self.tokens: set[str] = set()
        self.seen: list[str] = []
        self.texts: dict[Place, str] = {}
        self.stopping = False
        self.changed = threading.Condition()
        self._old: dict[Place, tuple[float, str | None]] = {}
        self.port = free_port()
        self._server = ThreadedServer(self.port, type("BoundHandler", (Handler,), {"nacos": self}), THREADS)
        self._server.start()

    @property
    def url(self) -> str:
        """Its address, with the context path."""
        return f"http://127.0.0.1:{self.port}/nacos"

    def put(self, place: Place, text: str | None) -> None:
        """Write *text*, or remove it."""
        with self.changed:
            self._old[place] = time.monotonic() + self.lag_s, self.texts.get(place)
            if text is None:
                self.texts.pop(place, None)
            else:
                self.texts[place] = text
            self.changed.notify_all()

    def release(self, data_id: str, text: str, *, group: str = "DEFAULT_GROUP", tenant: str = "") -> None:
        """Write a text as an operator would."""
        self.put((data_id, group, tenant), text)

    def shown(self, place: Place) -> str | None:
        """Return the text that readers get."""
        until, old = self._old.get(place, (0.0, None))
        return old if time.monotonic() < until else self.texts.get(place)

    def stop(self) -> None:
        """Answer the held polls, and accept no more connections."""
        self.stopping = True
        with self.changed:
            self.changed.notify_all()
        self._server.stop()


@pytest.fixture
def nacos() -> Iterator[NacosServer]:
    """Start an empty server."""
    server = NacosServer()
    yield server
    server.stop()


@pytest.fixture
def nacos_url(nacos: NacosServer) -> str:
    """Give the address of an empty server."""
    return nacos.url
