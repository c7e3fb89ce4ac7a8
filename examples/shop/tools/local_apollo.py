"""An Apollo configuration service for a desk: serves the files of a folder, live.

    python tools/local_apollo.py --port 8080 --dir config

`application.properties` is the namespace `application`; other files keep their suffix. It speaks as
much of Apollo's HTTP interface as clients need: releases, cached releases, and long polling.
"""

import argparse
import json
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOLD_S = 60
LOOK_EVERY_S = 0.1


class LocalApollo(ThreadingHTTPServer):
    """Serve the namespaces in *folder*. `stop_holding()` answers all waiting polls at once.

    `polls` holds when each waiting poll came, and what it knows; `polled` says whether there ever was one.
    """

    daemon_threads = True

    def __init__(self, address, folder: Path, hold_s: float = HOLD_S):
        super().__init__(address, Handler)
        self.folder = folder
        self.hold_s = hold_s
        self.released = threading.Event()
        self.polls = {}
        self.polled = False
        self._oldest = 0.0

    @property
    def url(self) -> str:
        return "http://{}:{}".format(*self.server_address[:2])

    def stop_holding(self) -> None:
        self.released.set()

    def answer_polls_before(self, moment: float) -> None:
        """Answer the polls that came before *moment* (monotonic), as if they had been held for long."""
        self._oldest = moment

    def must_hold(self, since: float) -> bool:
        """Return whether a poll that came at *since* has to wait for news."""
        too_old = max(self._oldest, time.monotonic() - self.hold_s)
        return since >= too_old and not self.released.is_set()

    def file_of(self, namespace: str) -> Path:
        name = namespace if "." in namespace else namespace + ".properties"
        return self.folder / Path(name).name

    def version_of(self, namespace: str) -> int:
        try:
            return self.file_of(namespace).stat().st_mtime_ns // 1000
        except FileNotFoundError:
            return -1

    def values_of(self, namespace: str) -> dict:
        path = self.file_of(namespace)
        text = path.read_text(encoding="utf-8")
        if path.suffix != ".properties":
            return {"content": text}
        return dict(parse_properties(text))

    def changed(self, known: list) -> list:
        """Return the notifications for those of *known* that have a newer version."""
        now = [(each["namespaceName"], self.version_of(each["namespaceName"])) for each in known]
        return [
            {"namespaceName": name, "notificationId": version}
            for (name, version), each in zip(now, known)
            if version not in (-1, each["notificationId"])
        ]


def parse_properties(text: str):
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith(("#", "!")):
            key, _, value = line.partition("=")
            yield key.strip(), value.strip()


class Handler(BaseHTTPRequestHandler):
    server: LocalApollo
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        parts = [urllib.parse.unquote(part) for part in url.path.strip("/").split("/")]
        try:
            if parts[0] == "configs" and len(parts) == 4:
                self._release(*parts[1:], query)
            elif parts[:2] == ["configfiles", "json"] and len(parts) == 5:
                self._answer(200, self.server.values_of(parts[4]))
            elif parts == ["notifications", "v2"]:
                self._poll(json.loads(query["notifications"]))
            else:
                self._answer(404, {"message": "no such path"})
        except FileNotFoundError:
            self._answer(404, {"message": "no such namespace"})

    def _release(self, app_id, cluster, namespace, query):
        release_key = str(self.server.version_of(namespace))
        if query.get("releaseKey") == release_key:
            self._answer(304)
            return
        self._answer(
            200,
            {
                "appId": app_id,
                "cluster": cluster,
                "namespaceName": namespace,
                "configurations": self.server.values_of(namespace),
                "releaseKey": release_key,
            },
        )

    def _poll(self, known):
        since = time.monotonic()
        news = []
        self.server.polls[threading.get_ident()] = since, known
        self.server.polled = True
        try:
            while not news and self.server.must_hold(since):
                news = self.server.changed(known)
                if not news:
                    self.server.released.wait(LOOK_EVERY_S)
        finally:
            del self.server.polls[threading.get_ident()]
        self._answer(200, news) if news else self._answer(304)

    def _answer(self, status, body=None):
        content = b"" if body is None else json.dumps(body).encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", "application/json;charset=UTF-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format, *args):
        """Stay silent: a poll a second for each process is no news."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--dir", type=Path, default=Path("config"))
    options = parser.parse_args()
    with LocalApollo(("127.0.0.1", options.port), options.dir) as server:
        print("Apollo for {} on {}".format(options.dir, server.url), flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
