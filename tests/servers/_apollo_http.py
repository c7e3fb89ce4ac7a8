"""The HTTP of the Apollo test server: config service, meta server, and the portal's OpenAPI."""

import base64
import hashlib
import hmac
import json
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ._apollo_store import Release, plain

if TYPE_CHECKING:
    from .apollo import ApolloServer

SKEW_S = 60


class Handler(BaseHTTPRequestHandler):
    """One connection of one client."""

    protocol_version = "HTTP/1.1"
    apollo: "ApolloServer"

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_PUT(self) -> None:
        self._serve("PUT")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, verb: str) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        self.sent = json.loads(self.rfile.read(size) or "{}")
        url = urlsplit(self.path)
        self.query = dict(parse_qsl(url.query, keep_blank_values=True))
        self.apollo.seen.append((verb, self.path))
        words = [unquote(part) for part in url.path.split("/")[1:]]
        if words[:2] == ["openapi", "v1"]:
            self._portal(verb, words[2:])
            return
        handle = {
            "configs": self._configs,
            "configfiles": self._files,
            "notifications": self._notifications,
            "services": self._services,
        }.get(words[0])
        if handle is None:
            self._error(404)
        else:
            handle(*words[1:])

    # Config service

    def _services(self, name: str) -> None:
        urls = self.apollo.instances or [self.apollo.url]
        self._json(
            [
                {"appName": f"apollo-{name}service", "instanceId": url, "homepageUrl": f"{url}/"}
                for url in urls
            ]
        )

    def _configs(self, app: str, cluster: str, namespace: str) -> None:
        if not self._is_signed(app):
            self._error(401)
            return
        found = self._releases(app, cluster, namespace)
        if not found:
            self._error(404)
            return
        key = "+".join(one.key for one in found)
        values = {name: text for one in reversed(found) for name, text in one.values.items()}
        store, known = self.apollo.store, self.query.get("releaseKey")
        before = store.history.get(known or "")
        store.history[key] = values
        if key == known:
            self._send(304, b"")
            return
        head = {"appId": app, "cluster": found[0].cluster, "namespaceName": namespace}
        if self.apollo.incremental and before is not None:
            changes = _changes(before, values)
            self._json(
                {
                    **head,
                    "releaseKey": key,
                    "configSyncType": "IncrementalSync",
                    "configurationChanges": changes,
                }
            )
            return
        self._json({**head, "configurations": values, "releaseKey": key})

    def _files(self, kind: str, app: str, cluster: str, namespace: str) -> None:
        found = self._releases(app, cluster, namespace) if self._is_signed(app) else None
        if not found:
            self._error(401 if found is None else 404)
            return
        assert kind == "json", "the clients of the tests ask for no other"
        self._json({name: text for one in reversed(found) for name, text in one.values.items()})

    def _releases(self, app: str, cluster: str, namespace: str) -> list[Release]:
        store, query = self.apollo.store, self.query
        keys = store.watched(app, cluster, namespace, query.get("dataCenter", ""))
        newest = max(store.messages.get(key, 0) for key in keys)
        fresh = store.find(
            app,
            cluster,
            namespace,
            center=query.get("dataCenter", ""),
            ip=query.get("ip") or self.client_address[0],
            label=query.get("label", ""),
        )
        if not self.apollo.cached:
            return fresh
        held = self.apollo.cache.get((app, cluster, namespace))
        details = json.loads(query.get("messages") or "{}").get("details", {})
        told = max((details.get(key, 0) for key in keys), default=0)
        if held is None or told > held[0]:
            held = self.apollo.cache[app, cluster, namespace] = (newest, fresh)
        return held[1]

    def _notifications(self, version: str) -> None:
        assert version == "v2"
        app, cluster = self.query.get("appId"), self.query.get("cluster", "default")
        if "notifications" not in self.query or app is None:
            self._error(500 if app is not None else 400)
        elif (wanted := _wanted(self.query["notifications"])) is None:
            self._error(400, message=f"invalid notifications format:{self.query['notifications']}")
        elif not self._is_signed(app):
            self._error(401)
        else:
            self._hold(app, cluster, wanted)

    def _hold(self, app: str, cluster: str, wanted: list[tuple[str, int]]) -> None:
        store, end = self.apollo.store, time.monotonic() + self.apollo.hold_s
        center = self.query.get("dataCenter", "")
        with store.changed:
            keys = {name: store.watched(app, cluster, name, center) for name, _ in wanted}
            news = [
                (name, {key: store.messages[key] for key in keys[name] if key in store.messages})
                for name, known in wanted
                if max(store.messages.get(key, -1) for key in keys[name]) > known
            ]
            at = len(store.log)
            while not news and (left := end - time.monotonic()) > 0 and not self.apollo.stopping:
                store.changed.wait(left)
                news = [
                    (name, {key: number})
                    for key, number in store.log[at:]
                    for name, own in keys.items()
                    if key in own
                ][:1]
                at = len(store.log)
        self._told(news)

    def _told(self, news: list[tuple[str, dict[str, int]]]) -> None:
        if self.apollo.stopping:
            self.close_connection = True  # dropped without an answer
        elif not news:
            self._send(304, b"")
        else:
            self._json(
                [
                    {
                        "namespaceName": plain(name),
                        "notificationId": max(details.values()),
                        "messages": {"details": details},
                    }
                    for name, details in news
                ]
            )

    def _is_signed(self, app: str) -> bool:
        secrets = self.apollo.store.secrets.get(app)
        if not secrets:
            return True
        stamp = self.headers.get("Timestamp", "")
        if not stamp.isdigit() or abs(int(stamp) / 1000 - time.time()) > SKEW_S:
            return False
        given = self.headers.get("Authorization", "").rpartition(":")[2]
        return given in {_signature(secret, stamp, self.path) for secret in secrets}

    # OpenAPI

    def _portal(self, verb: str, words: list[str]) -> None:
        store = self.apollo.store
        if self.headers.get("Authorization") != self.apollo.token:
            self._send(401, b"")
            return
        match (verb, *words):
            case ("GET", "apps", app, "envclusters"):
                names = sorted(cluster for owner, cluster in store.clusters if owner == app)
                self._json([{"env": "DEV", "clusters": names}] if names else [])
            case ("POST", "apps", app, "appnamespaces"):
                self._created(app, self.sent)
            case (_, "envs", "DEV", "apps", app, *_) if app not in store.apps:
                self._error(404, message=f"app not found for appId:{app}")
            case ("POST", "envs", "DEV", "apps", app, "clusters"):
                store.create(app, self.sent["name"], "application")
                self._json({"name": self.sent["name"], "appId": app})
            case (_, "envs", "DEV", "apps", app, "clusters", cluster, *_) if (
                app,
                cluster,
            ) not in store.clusters:
                self._error(404, message=f"cluster not found for clusterName:{cluster}")
            case ("GET", "envs", "DEV", "apps", app, "clusters", cluster, "namespaces"):
                names = [name for (owner, _), (name, _) in store.namespaces.items() if owner == app]
                self._json([{"appId": app, "clusterName": cluster, "namespaceName": name} for name in names])
            case (_, "envs", "DEV", "apps", app, "clusters", cluster, "namespaces", name, *rest):
                self._namespace(verb, app, cluster, name, rest)
            case _:
                self._error(404)

    def _created(self, app: str, sent: dict[str, Any]) -> None:
        name = sent["name"] if sent["format"] == "properties" else f"{sent['name']}.{sent['format']}"
        if (app, name.lower()) in self.apollo.store.namespaces:
            self._error(400, message=f"{name} existed")
            return
        self.apollo.store.create(app, "default", name, public=sent["isPublic"])
        self._json({"name": name, "appId": app})

    def _namespace(self, verb: str, app: str, cluster: str, name: str, rest: list[str]) -> None:
        store = self.apollo.store
        if (app, name.lower()) not in store.namespaces:
            self._error(404, message=f"namespace not found for namespaceName:{name}")
            return
        place = store.create(app, cluster, name)
        items, released = store.items[place], store.releases.get(place)
        match (verb, *rest):
            case ("PUT", "items", key):
                if len(key) > 128 or len(self.sent["value"]) > self.apollo.longest_value:
                    self._error(400, message="value too long")
                elif key not in items and self.query.get("createIfNotExists") != "true":
                    self._error(404)
                else:
                    items[key] = self.sent["value"]
                    self._send(200, b"")
            case ("DELETE", "items", key):
                self._error(404) if items.pop(key, None) is None else self._send(200, b"")
            case ("POST", "releases"):
                store.publish(place)
                self._json({"name": self.sent["releaseTitle"], "configurations": items})
            case ("GET", "releases", "latest"):
                self._json({"id": 1, "configurations": released[-1].values}) if released else self._send(
                    200, b""
                )
            case _:
                self._error(404)

    # Answers

    def _error(self, status: int, message: str = "") -> None:
        body = {
            "timestamp": "2026-01-01T00:00:00",
            "status": status,
            "error": "",
            "path": self.path,
            "message": message,
        }
        self._json(body, status)

    def _json(self, body: Any, status: int = 200) -> None:
        # As Gson writes it.
        text = json.dumps(body, ensure_ascii=False).replace("<", "\\u003c").replace("=", "\\u003d")
        self._send(status, text.encode())

    def _send(self, status: int, body: bytes) -> None:
        status, kind, body, missing = self.apollo.fault(self.path, status, body)
        self.send_response(status)
        if status != 304:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body) + missing))
        self.end_headers()
        for piece in [body[at : at + 1] for at in range(len(body))] if self.apollo.drip_s else [body]:
            time.sleep(self.apollo.drip_s)
            self.wfile.write(piece)
        if missing:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        pass


def _wanted(text: str) -> list[tuple[str, int]] | None:
    """Return the namespaces and numbers of a request, or `None` if it is malformed."""
    try:
        wanted = [(one["namespaceName"], int(one.get("notificationId", -1))) for one in json.loads(text)]
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return wanted or None


def _changes(before: dict[str, str], after: dict[str, str]) -> list[dict[str, str]]:
    gone = [{"key": key, "configurationChangeType": "DELETED"} for key in before if key not in after]
    new = [
        {
            "key": key,
            "newValue": text,
            "configurationChangeType": "MODIFIED" if key in before else "ADDED",
        }
        for key, text in after.items()
        if before.get(key) != text
    ]
    return gone + new


def _signature(secret: str, stamp: str, path: str) -> str:
    signed = hmac.new(secret.encode(), f"{stamp}\n{path}".encode(), hashlib.sha1)
    return base64.b64encode(signed.digest()).decode()
