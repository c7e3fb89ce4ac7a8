"""Apollo test server: one of our own, written from the documented protocol, since no real one can be installed here.

It serves config service, meta server and OpenAPI on one port, in threads of the test's process. Values come over HTTP
in the shapes that running servers of versions 2.5 and 3.0 were observed to send. Apollo's own Java client, 2.4.0, reads
and watches it, signed too.
"""

import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ._apollo_http import Handler
from ._apollo_store import Place, Release, Store, plain
from ._process import free_port
from ._program import OwnServer
from ._threaded import ThreadedServer

PROGRAM = OwnServer("apollo", "of our own, written from the documented protocol", __file__)

THREADS = "apollo-test-server"
HTML = b"<!DOCTYPE html><html><body>Sign in to the network</body></html>"


class ApolloServer:
    """A server that can be stopped, started again on its port, and told to answer wrongly.

    Attributes:
        hold_s: How long a poll is held; 60 s on a real server.
        incremental: Whether a client with a known release key gets changes alone.
        cached: Whether values are old until the client names a message that is newer than they are.
        instances: The addresses that the meta server names; its own where empty.
        longest_value: In characters; 20,000 on a real server unless it is set otherwise.
        drip_s: The pause before each byte of a body.
        seen: Verb and path of each request.
    """

    token = "portal-token"

    def __init__(self, certificate: Path | None = None, key: Path | None = None) -> None:
        self.tls = (certificate, key) if certificate else None
        self.store = Store()
        self.hold_s = 60.0
        self.incremental = False
        self.cached = False
        self.cache: dict[tuple[str, str, str], tuple[int, list[Release]]] = {}
        self.instances: list[str] = []
        self.longest_value = 20_000
        self.drip_s = 0.0
        self.seen: list[tuple[str, str]] = []
        self.stopping = False
        self._broken: tuple[str, str] | None = None
        self._port = free_port()
        self.start()

    @property
    def url(self) -> str:
        """The address of the config service, the meta server and the portal."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen, again on the same port."""
        self.stopping = False
        handler = type("BoundHandler", (Handler,), {"apollo": self})
        self._server = _Server(self._port, handler)
        if self.tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._server.start()

    def stop(self) -> None:
        """Drop held polls, close every connection and refuse new ones. Twice does nothing."""
        if self.stopping:
            return
        self.stopping = True
        with self.store.changed:
            self.store.changed.notify_all()
        self._server.stop()

    def release(
        self,
        namespace: str,
        values: dict[str, str] | str,
        *,
        app: str = "app",
        cluster: str = "default",
        public: bool = False,
    ) -> Release:
        """Publish *values* as the whole of a namespace; a text is that of a document."""
        place = self.store.create(app, cluster, namespace, public=public)
        self.store.items[place] = {"content": values} if isinstance(values, str) else dict(values)
        return self.store.publish(place)

    def place(self, namespace: str, *, app: str = "app", cluster: str = "default") -> Place:
        """Return the key of a namespace in `store`."""
        return (app, cluster, plain(namespace).lower())

    def break_answers(self, how: str, *, of: str = "/") -> None:
        """Answer what begins with *of* by `500`, `html`, `truncated` or `garbage` instead; rightly again for `""`."""
        self._broken = (how, of) if how else None

    def fault(self, path: str, status: int, body: bytes) -> tuple[int, str, bytes, int]:
        """Return status, media type, body, and the bytes that the body lacks, for an answer."""
        how, of = self._broken or ("", "")
        if how and path.startswith(of):
            if how == "500":
                return 500, "application/json", b"{}", 0
            if how == "html":
                return 200, "text/html", HTML, 0
            if how == "truncated":
                return status, "application/json", body[: len(body) // 2], len(body) - len(body) // 2
            if how == "garbage":
                return 200, "application/json", body[: len(body) // 2], 0
        return status, "application/json", body, 0


class _Server(ThreadedServer):
    allow_reuse_address = True

    def __init__(self, port: int, handler: type[Handler]) -> None:
        self._connections: set = set()
        super().__init__(port, handler, THREADS)

    def process_request(self, request, client_address) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        for request in list(self._connections):
            self.shutdown_request(request)
        super().server_close()


@pytest.fixture
def start_apollo() -> Iterator[Callable[[], ApolloServer]]:
    """Return a function that starts a server of the test's own."""
    with ExitStack() as stack:

        def start() -> ApolloServer:
            server = ApolloServer()
            stack.callback(server.stop)
            return server

        yield start


@pytest.fixture
def apollo(start_apollo: Callable[[], ApolloServer]) -> ApolloServer:
    """Start an empty Apollo test server."""
    return start_apollo()
