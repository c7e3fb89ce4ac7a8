"""Real servers on loopback: one that answers by path, and one that sends exactly the given bytes."""

import gzip
import json
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = (
            self._chunks() if self.headers.get("Transfer-Encoding") == "chunked" else self.rfile.read(length)
        )
        parts = urlsplit(self.path)
        kind, *rest = parts.path.strip("/").split("/")
        self.server.seen.append((self.command, self.path, self.client_address[1]))
        answer = getattr(self, f"_{kind}", self._echo)
        answer(rest, parse_qs(parts.query), body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = _answer  # noqa: N815 - http.server's names

    def _chunks(self) -> bytes:
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _echo(self, rest: list[str], query: dict, body: bytes) -> None:
        what = {
            "method": self.command,
            "path": self.path,
            "headers": sorted((name, value) for name, value in self.headers.items()),
            "body": body.decode("latin-1"),
        }
        self._reply(
            200,
            [("Content-Type", "application/json"), ("X-Two", "a"), ("X-Two", "b")],
            json.dumps(what).encode(),
        )

    def _status(self, rest: list[str], query: dict, body: bytes) -> None:
        # With 204 and 304 this body is one too many, as some real servers send it.
        self._reply(int(rest[0]), [("Content-Type", "text/plain")], b"status")

    def _redirect(self, rest: list[str], query: dict, body: bytes) -> None:
        status, to = int(rest[0]), query["to"][0]
        self._reply(status, [("Location", to), ("Set-Cookie", f"hop{status}=1; Path=/")], b"elsewhere")

    def _cookie(self, rest: list[str], query: dict, body: bytes) -> None:
        headers = [("Set-Cookie", f"{name}={values[0]}; Path=/") for name, values in query.items()]
        self._reply(200, headers, b"set")

    def _gzip(self, rest: list[str], query: dict, body: bytes) -> None:
        self._reply(
            200,
            [("Content-Encoding", "gzip"), ("Content-Type", "text/plain")],
            gzip.compress(b"zipped" * 99, mtime=0),
        )

    def _deflate(self, rest: list[str], query: dict, body: bytes) -> None:
        self._reply(200, [("Content-Encoding", "deflate")], zlib.compress(b"deflated" * 99))

    def _notgzip(self, rest: list[str], query: dict, body: bytes) -> None:
        self._reply(200, [("Content-Encoding", "gzip")], b"this is not gzip")

    def _bytes(self, rest: list[str], query: dict, body: bytes) -> None:
        self._reply(
            200, [("Content-Type", "application/octet-stream")], bytes(i % 251 for i in range(int(rest[0])))
        )

    def _chunked(self, rest: list[str], query: dict, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.end_headers()
        for piece in (b"one ", b"two ", b"three"):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def _close(self, rest: list[str], query: dict, body: bytes) -> None:
        self._reply(200, [("Connection", "close")], b"bye")
        self.close_connection = True

    def _vanish(self, rest: list[str], query: dict, body: bytes) -> None:
        """Answer as if the connection stayed open, and close it."""
        self._reply(200, [], b"still here")
        self.close_connection = True

    def _slow(self, rest: list[str], query: dict, body: bytes) -> None:
        time.sleep(float(rest[0]))
        self._reply(200, [], b"late")

    def log_message(self, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Answers by path; `seen` lists the method, the target and the client's port of each request."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Report no error for clients that hang up."""

    seen: list[tuple[str, str, int]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), _Handler) as running:
        running.seen = []
        thread = threading.Thread(target=running.serve_forever, args=(0.05,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


Conversation = Callable[[socket.socket], None]


@contextmanager
def conversing(conversation: Conversation) -> Iterator[str]:
    """Serve connections on a free port, each in turn, by *conversation*; yield the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        conversation(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.fixture
def saying() -> Iterator[Callable[[bytes], str]]:
    """Return a function that starts a server which says exactly these bytes to each request, and closes."""
    open_ones = []

    def start(answer: bytes) -> str:
        def conversation(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(answer)

        served = conversing(conversation)
        open_ones.append(served)
        return served.__enter__()

    yield start
    for served in open_ones:
        served.__exit__(None, None, None)
