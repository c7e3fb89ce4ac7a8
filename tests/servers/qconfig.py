"""QConfig test server: one of our own, written from the public source of QConfig's client and server."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

import pytest

from ._process import free_port
from ._program import OwnServer
from ._threaded import ThreadedServer

PROGRAM = OwnServer("qconfig", "of our own, written from its public source", __file__, usual=False)

THREADS = "qconfig-test-server"
Place = tuple[str, str, str]
"""Application, file, profile."""


class QConfigServer:
    """Files in memory, in threads of the test's process.

    Attributes:
        hold_s: How long a poll is held at most.
        token: The token that clients need.
        broken: A status, `html` or `nothing` for wrong answers.
        seen: Verb and path of each request.
    """

    def __init__(self) -> None:
        self.hold_s, self.token, self.broken = 60.0, "", ""
        self.seen: list[str] = []
        self.files: dict[Place, tuple[int, str]] = {}
        self.stopping = False
        self.changed = threading.Condition()
        self._number = 0
        self.port = free_port()
        self._server = ThreadedServer(
            self.port, type("BoundHandler", (_Handler,), {"qconfig": self}), THREADS
        )
        self._server.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def release(self, name: str, text: str, *, app: str = "app", profile: str = "prod:") -> None:
        """Publish a file."""
        with self.changed:
            self._number += 1
            self.files[app, name, profile] = self._number, text
            self.changed.notify_all()

    def latest(self, app: str, name: str, profile: str) -> tuple[int, str] | None:
        """Return the number and the profile of the file that a client gets."""
        for one in (profile, f"{profile.partition(':')[0]}:"):
            if found := self.files.get((app, name, one)):
                return found[0], one
        return None

    def stop(self) -> None:
        """Answer the held polls, and accept no more connections."""
        self.stopping = True
        with self.changed:
            self.changed.notify_all()
        self._server.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536
    qconfig: QConfigServer

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if self._refuses():
            return
        asked = [line.split(",") for line in text.splitlines()]
        hold_s = self.qconfig.hold_s if "longPolling" in self.path else 0.0
        end = time.monotonic() + hold_s
        with self.qconfig.changed:
            while not (news := self._news(asked)) and not self.qconfig.stopping:
                if (left_s := end - time.monotonic()) <= 0:
                    break
                self.qconfig.changed.wait(left_s)
        self._send(200 if news else 304, "\n".join(news))

    def do_GET(self) -> None:
        if self._refuses():
            return
        given = {name: one[0] for name, one in parse_qs(urlsplit(self.path).query).items()}
        found = self.qconfig.files.get((given["group"], given["dataId"], given["loadProfile"]))
        if found is None or str(found[0]) != given["version"]:
            self._send(404, "")
        else:
            self._send(200, found[1])

    def _news(self, asked: list[list[str]]) -> list[str]:
        profile, news = self.headers["profile"], []
        for app, name, number, theirs in asked:
            found = self.qconfig.latest(app, name, profile)
            if found is not None and (str(found[0]), found[1]) != (number, theirs):
                news.append(f"{app},{name},{found[0]},{found[1]}")
            elif found is None and int(number) > -1:
                news.append(f"{app},{name},-100,{profile}")
        return news

    def _refuses(self) -> bool:
        self.qconfig.seen.append(f"{self.command} {urlsplit(self.path).path}")
        if self.qconfig.broken:
            status = int(self.qconfig.broken) if self.qconfig.broken.isdecimal() else 200
            self._send(status, "" if self.qconfig.broken == "nothing" else "<html>Sign in</html>")
        elif self.qconfig.token and self.headers["token"] != self.qconfig.token:
            self._send(403, "")
        else:
            return False
        return True

    def _send(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html;charset=utf8")
        if status != 304:
            self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        if status != 304:
            self.wfile.write(text.encode())

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


@pytest.fixture
def qconfig() -> Iterator[QConfigServer]:
    """Start an empty server."""
    server = QConfigServer()
    yield server
    server.stop()
