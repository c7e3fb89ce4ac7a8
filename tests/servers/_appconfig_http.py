"""The data service of AWS AppConfig, of our own: written from its documentation, since no real one can be had here.

    python _appconfig_http.py PORT FOLDER

serves each file of FOLDER as a deployed profile of each application in environment `prod`, live, for the demonstration.
"""

import itertools
import json
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

Place = tuple[str, str, str]
"""Application, environment, profile."""

THREADS = "appconfig-test-server"
HTML = b"<!DOCTYPE html><html><body>Sign in to the network</body></html>"
TOKEN_S = 24 * 3600.0
_TYPES = {".json": "application/json", ".yaml": "application/x-yaml", ".yml": "application/x-yaml"}
_SPREAD = 0.618  # of the sessions over a gradual deployment


@dataclass
class Deployment:
    """The content that a profile has, and the one before, which sessions outside of *share* still get."""

    content: bytes
    media_type: str
    number: int
    share: float = 1.0
    before: "Deployment | None" = None

    def of(self, bucket: float) -> "Deployment | None":
        """Return the content for a session."""
        return self if bucket < self.share else self.before


@dataclass
class Session:
    """One client of one profile; *known* is the number of the deployment that it was given."""

    place: Place
    bucket: float
    required_s: float = 0.0
    known: int = 0
    asked_at: float = field(default=float("-inf"))


class AppConfig:
    """Sessions and deployments.

    Attributes:
        interval_s: The interval that clients are told, where they require no longer one.
        token_s: How long a token is valid; 24 h on AWS.
        calls: Verb and path of each request.
        ignores_required: Whether the interval that a client requires counts for nothing, for tests that cannot wait.
        throttled: How many of the next requests are refused as too many.
    """

    def __init__(self) -> None:
        self.interval_s = 0
        self.token_s = TOKEN_S
        self.calls: list[str] = []
        self.ignores_required = False
        self.throttled = 0
        self.broken = ""
        self.deployed: dict[Place, Deployment] = {}
        self.lock = threading.Lock()
        self._tokens: dict[str, tuple[Session, float]] = {}
        self._numbers = itertools.count(1)

    def deploy(self, place: Place, content: bytes, media_type: str, *, share: float = 1.0) -> None:
        """Deploy *content*, to a *share* of the sessions."""
        with self.lock:
            before = self.deployed.get(place)
            self.deployed[place] = Deployment(content, media_type, next(self._numbers), share, before)

    def expire(self) -> None:
        """Let all tokens be older than they may be."""
        with self.lock:
            self._tokens = {token: (one, float("-inf")) for token, (one, _) in self._tokens.items()}

    def find(self, place: Place) -> Deployment | None:
        """Return what is deployed there."""
        return self.deployed.get(place)

    def start(self, place: Place, required_s: float) -> str:
        """Begin a session, and return its first token."""
        with self.lock:
            bucket = next(self._numbers) * _SPREAD % 1
            return self._token(Session(place, bucket, required_s))

    def spend(self, token: str) -> tuple[Session | None, str]:
        """Return the session of a token, which no later call can use, and the problem if there is one."""
        with self.lock:
            session, until = self._tokens.get(token, (None, 0.0))
            if session is None:
                return None, "Corrupted"
            if time.monotonic() > until:
                return None, "Expired"
            if time.monotonic() < session.asked_at + session.required_s:
                return None, "PollIntervalNotSatisfied"
            del self._tokens[token]
            session.asked_at = time.monotonic()
            return session, ""

    def next_token(self, session: Session) -> str:
        """Return the token of the next call of a session."""
        with self.lock:
            return self._token(session)

    def _token(self, session: Session) -> str:
        token = f"token-{next(self._numbers)}+/="
        self._tokens[token] = session, time.monotonic() + self.token_s
        return token


class Folder(AppConfig):
    """Every application's profiles are the files of a folder; an edit is a deployment that is complete at once."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.interval_s, self.ignores_required = 1, True
        self._folder = folder

    def find(self, place: Place) -> Deployment | None:
        """See `AppConfig.find`."""
        path = self._folder / Path(place[2]).name
        if place[1] != "prod":
            return None
        if not path.suffix:
            path = path.with_suffix(".properties")
        if not path.is_file():
            return None
        media_type = _TYPES.get(path.suffix, "text/plain")
        return Deployment(path.read_bytes(), media_type, path.stat().st_mtime_ns)


class Handler(BaseHTTPRequestHandler):
    """One connection of one client."""

    protocol_version = "HTTP/1.1"
    app: AppConfig

    def do_POST(self) -> None:
        wanted = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
        if self._refuses():
            return
        names = ("ApplicationIdentifier", "EnvironmentIdentifier", "ConfigurationProfileIdentifier")
        place = tuple(str(wanted[name]) for name in names)
        if self.app.find(place) is None:
            self._error(404, "ResourceNotFoundException", {"Message": f"{place[2]} could not be found"})
            return
        required_s = float(wanted.get("RequiredMinimumPollIntervalInSeconds", 0))
        token = self.app.start(place, 0 if self.app.ignores_required else required_s)
        self._send(201, json.dumps({"InitialConfigurationToken": token}).encode())

    def do_GET(self) -> None:
        if self._refuses():
            return
        (token,) = parse_qs(urlsplit(self.path).query)["configuration_token"]
        session, problem = self.app.spend(token)
        if session is None:
            details = {"InvalidParameters": {"configuration_token": {"Problem": problem}}}
            body = {"Message": "Request is malformed", "Reason": "InvalidParameters", "Details": details}
            self._error(400, "BadRequestException", body)
            return
        found = self.app.find(session.place)
        found = found.of(session.bucket) if found else None
        if found is None:
            self._error(404, "ResourceNotFoundException", {"Message": "Deployment not found"})
            return
        head = {
            "Next-Poll-Configuration-Token": self.app.next_token(session),
            "Next-Poll-Interval-In-Seconds": str(int(max(self.app.interval_s, session.required_s))),
        }
        is_new, session.known = found.number != session.known, found.number
        if is_new:
            head["Version-Label"] = str(found.number)
        self._send(200, found.content if is_new else b"", found.media_type, head)

    def _refuses(self) -> bool:
        self.app.calls.append(f"{self.command} {self.path.partition('?')[0]}")
        if self.app.throttled:
            self.app.throttled -= 1
            self._error(429, "ThrottlingException", {"Message": "Rate exceeded"})
        elif self.app.broken == "500":
            self._error(500, "InternalServerException", {"Message": "It failed"})
        elif self.app.broken == "html":
            self._send(200, HTML, "text/html")
        else:
            return False
        return True

    def _error(self, status: int, name: str, body: dict[str, object]) -> None:
        self._send(status, json.dumps(body).encode(), head={"x-amzn-ErrorType": name})

    def _send(
        self,
        status: int,
        body: bytes,
        media_type: str = "application/json",
        head: dict[str, str] | None = None,
    ) -> None:
        kept = len(body) // 2 if self.app.broken == "truncated" else len(body)
        self.send_response(status)
        for name, value in {"Content-Type": media_type, **(head or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:kept])
        self.close_connection |= kept < len(body)

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""


class HttpServer(ThreadingHTTPServer):
    """*app* on a port of loopback."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, app: AppConfig, port: int) -> None:
        super().__init__(("127.0.0.1", port), type("BoundHandler", (Handler,), {"app": app}))

    def process_request(self, request, client_address) -> None:
        serve = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), name=THREADS, daemon=True
        )
        serve.start()

    def handle_error(self, request, client_address) -> None:
        """Say nothing: clients that leave in the middle of an answer are part of the tests."""


if __name__ == "__main__":
    HttpServer(Folder(Path(sys.argv[2])), int(sys.argv[1])).serve_forever()
