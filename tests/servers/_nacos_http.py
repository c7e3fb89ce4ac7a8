"""The HTTP of the Nacos test server: texts, their long poll, users, and the console's list of namespaces."""

import hashlib
import json
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

if TYPE_CHECKING:
    from .nacos import NacosServer

HTML = b"<!DOCTYPE html><html><body>Sign in to the network</body></html>"
_WRONG = {
    "500": (500, b"caused: it failed", "text/plain"),
    "html": (200, HTML, "text/html"),
    "nothing": (200, b"", "text/plain"),
    "404": (404, b"default backend - 404", "text/plain"),
    "302": (302, b"", "text/plain"),
}
_WORD, _LINE = "\x02", "\x01"


def md5(text: str | None) -> str:
    """Return the digest of a text as Nacos has it; `""` for none."""
    return "" if text is None else hashlib.md5(text.encode()).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """One connection of one client."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one packet: the second of two would wait for the client's receipt
    nacos: "NacosServer"

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, verb: str) -> None:
        form = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        url = urlsplit(self.path)
        self.given = dict(
            parse_qsl(url.query, keep_blank_values=True) + parse_qsl(form, keep_blank_values=True)
        )
        path = url.path.removeprefix("/nacos/v1")
        self.nacos.seen.append(f"{verb} {path}")
        if self.nacos.broken in _WRONG:
            self._send(*_WRONG[self.nacos.broken])
        elif path == "/auth/login":
            self._login()
        elif self.nacos.password and self.given.get("accessToken") not in self.nacos.tokens:
            self._send(403, b"<html><body>unknown user!</body></html>", "text/html")
        elif path == "/cs/configs/listener":
            self._listen()
        elif path == "/cs/configs":
            {"GET": self._read, "POST": self._publish, "DELETE": self._remove}[verb]()
        elif path == "/console/namespaces":
            tenants = sorted({place[2] for place in self.nacos.texts} | {""})
            self._json({"code": 200, "data": [{"namespace": one} for one in tenants]})
        else:
            self._send(404, b"<html><body>HTTP Status 404</body></html>", "text/html")

    def _login(self) -> None:
        if (self.given["username"], self.given["password"]) != ("nacos", self.nacos.password):
            self._send(403, b"unknown user!")
            return
        token = f"token.{len(self.nacos.seen)}"
        self.nacos.tokens.add(token)
        self._json({"accessToken": token, "tokenTtl": self.nacos.token_s, "globalAdmin": True})

    def _place(self) -> tuple[str, str, str]:
        return self.given["dataId"], self.given["group"], self.given.get("tenant", "")

    def _read(self) -> None:
        if "search" in self.given:
            self._list()
            return
        text = self.nacos.shown(self._place())
        if text is None:
            self._send(404, b"config data not exist")
        else:
            self._send(200, text.encode())

    def _list(self) -> None:
        page, size = int(self.given["pageNo"]), int(self.given["pageSize"])
        found = [
            (place, text) for place, text in self.nacos.texts.items() if place[2] == self.given["tenant"]
        ]
        items = [
            {"id": str(number), "dataId": place[0], "group": place[1], "tenant": place[2], "content": text}
            for number, (place, text) in enumerate(found)
        ]
        part = items[(page - 1) * size : page * size]
        pages = -(-len(items) // size)
        self._json({"totalCount": len(items), "pageNumber": page, "pagesAvailable": pages, "pageItems": part})

    def _publish(self) -> None:
        place, wanted = self._place(), self.headers.get("casMd5")
        with self.nacos.changed:
            if wanted and md5(self.nacos.texts.get(place)) != wanted:
                self._send(500, b"caused: Cas publish fail, server md5 may have changed.;")
                return
            self.nacos.put(place, self.given["content"])
        self._send(200, b"true")

    def _remove(self) -> None:
        self.nacos.put(self._place(), None)
        self._send(200, b"true")

    def _listen(self) -> None:
        lines = [line.split(_WORD) for line in self.given["Listening-Configs"].split(_LINE) if line]
        known = {(line[0], line[1], line[3] if len(line) > 3 else ""): line[2] for line in lines}
        hold_s = min(self.nacos.hold_s, int(self.headers["Long-Pulling-Timeout"]) / 1000)
        end = time.monotonic() + hold_s
        with self.nacos.changed:
            while not (news := self._news(known)) and not self.nacos.stopping:
                if (left_s := end - time.monotonic()) <= 0:
                    break
                self.nacos.changed.wait(left_s)
        text = "".join(_WORD.join(one if one[2] else one[:2]) + _LINE for one in news)
        self._send(200, (quote(text) + "\n").encode() if news else b"")

    def _news(self, known: dict[tuple[str, str, str], str]) -> list[tuple[str, str, str]]:
        return [place for place, digest in known.items() if md5(self.nacos.shown(place)) != digest]

    def _json(self, body: object) -> None:
        self._send(200, json.dumps(body).encode(), "application/json")

    def _send(self, status: int, body: bytes, media_type: str = "text/plain") -> None:
        kept = len(body) // 2 if self.nacos.broken == "truncated" else len(body)
        self.send_response(status)
        self.send_header("Content-Type", f"{media_type};charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:kept])
        self.close_connection |= kept < len(body)

    def log_message(self, *arguments: object) -> None:
        """Print nothing."""
