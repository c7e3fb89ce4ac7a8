"""A runtime in memory for the adapter, and an Apollo config service for the originals."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from capa_apollo import disable_apollo_config
from capa_core import Runtime, use_runtime


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    with Runtime.in_memory() as runtime, use_runtime(runtime):
        yield runtime
        disable_apollo_config()


@pytest.fixture
def configuration(runtime):
    return runtime.configuration()


@pytest.fixture
def wait_until():
    def wait(holds, patience_s=15):
        end = time.monotonic() + patience_s
        while not holds():
            assert time.monotonic() < end, "it did not come to hold in time"
            time.sleep(0.01)

    return wait


@pytest.fixture
def apollo() -> Iterator["ApolloServer"]:
    server = ApolloServer()
    yield server
    server.close()


class ApolloServer:
    """As much of Apollo's HTTP protocol as clients use: configs, configfiles and held notifications."""

    HOLD_S = 0.5

    def __init__(self) -> None:
        self.released: dict[str, tuple[int, dict[str, str]]] = {}
        self.changed = threading.Condition()
        handler = type("Handler", (_Handler,), {"apollo": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def release(self, namespace: str, values: dict[str, str]) -> None:
        with self.changed:
            number = self.released.get(namespace, (100, {}))[0] + 1
            self.released[namespace] = (number, dict(values))
            self.changed.notify_all()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    apollo: ApolloServer

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        _, what, *rest = (unquote(part) for part in url.path.split("/"))
        if what == "notifications":
            self._notify(json.loads(parse_qs(url.query)["notifications"][0]))
        elif what == "configfiles":
            self._answer(self._values(rest[3]))
        else:
            self._configs(*rest)

    def _configs(self, app: str, cluster: str, namespace: str) -> None:
        values = self._values(namespace)
        if values is None:
            self._answer(None)
            return
        release = f"{namespace}-{self.apollo.released[namespace.removesuffix('.properties')][0]}"
        self._answer(
            {
                "appId": app,
                "cluster": cluster,
                "namespaceName": namespace,
                "configurations": values,
                "releaseKey": release,
            }
        )

    def _notify(self, wanted: list[dict]) -> None:
        def news():
            return [
                {"namespaceName": each["namespaceName"], "notificationId": self.apollo.released[name][0]}
                for each in wanted
                if (name := each["namespaceName"].removesuffix(".properties")) in self.apollo.released
                and self.apollo.released[name][0] != each["notificationId"]
            ]

        with self.apollo.changed:
            self.apollo.changed.wait_for(news, self.apollo.HOLD_S)
            found = news()
        self._answer(found or None, 304)

    def _values(self, namespace: str) -> dict[str, str] | None:
        found = self.apollo.released.get(namespace.removesuffix(".properties"))
        return found[1] if found else None

    def _answer(self, body: object, otherwise: int = 404) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(otherwise if body is None else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        pass
