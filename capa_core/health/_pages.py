"""The pages `/health` and `/metrics`, for every kind of server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from capa_core.blocks.telemetry import TelemetryFeature
from capa_core.call.checks import Duration
from capa_core.errors import CapaError, NotFoundError
from capa_core.health._check import TIMEOUT_S, Checker
from capa_core.runtime import default_runtime

if TYPE_CHECKING:
    from capa_core.blocks.telemetry import Telemetry
    from capa_core.runtime import Runtime

_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"
_VERBS = ("GET", "HEAD")
_NO_METRICS = """\
no component of telemetry can be scraped. Add to capa.toml:

[telemetry.scrape]
driver = "prometheus"
"""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer."""

    status: HTTPStatus
    kind: str
    body: bytes

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers; no cache may keep it."""
        allowed = [("Allow", ", ".join(_VERBS))] if self.status is HTTPStatus.METHOD_NOT_ALLOWED else []
        return [
            ("Content-Type", self.kind),
            ("Content-Length", str(len(self.body))),
            ("Cache-Control", "no-store"),
            *allowed,
        ]


class Pages:
    """The pages of one process.

    Args:
        runtime: The runtime; `None` for the default one of the process.
        timeout: How long `/health` waits for the components: above 0, to 300 s.
        details: Whether `/health` shows what each component said, such as the address of its engine.
    """

    def __init__(
        self, runtime: Runtime | None = None, *, timeout: Duration = TIMEOUT_S, details: bool = True
    ) -> None:
        self._runtime = runtime
        self._checker = Checker(runtime, timeout=timeout)
        self._details = details

    def page(self, method: str, path: str) -> Page:
        """Return the page at *path*; never raises an error of Capa."""
        show = {"/health": self._health, "/metrics": self._metrics}.get(path.rstrip("/"))
        if show is None:
            return _text(HTTPStatus.NOT_FOUND, "there are /health and /metrics")
        if method not in _VERBS:
            return _text(HTTPStatus.METHOD_NOT_ALLOWED, f"{path} answers GET and HEAD")
        try:
            return show()
        except NotFoundError as error:
            return _text(HTTPStatus.NOT_FOUND, str(error))
        except CapaError as error:
            return _text(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    def _health(self) -> Page:
        health = self._checker.check()
        data = health.as_data()
        if not self._details:
            for each in data["components"]:
                del each["said"]
        status = HTTPStatus.OK if health.healthy else HTTPStatus.SERVICE_UNAVAILABLE
        return Page(status, _JSON, json.dumps(data).encode())

    def _metrics(self) -> Page:
        body, kind = self._scraped().exposition()
        return Page(HTTPStatus.OK, kind, body)

    def _scraped(self) -> Telemetry:
        runtime = self._runtime or default_runtime()
        names = runtime.loaded.tables("telemetry") if runtime.configured else {}
        for one in map(runtime.telemetry, names):
            if one.features[TelemetryFeature.SCRAPE]:
                return one
        raise NotFoundError(_NO_METRICS)


def _text(status: HTTPStatus, text: str) -> Page:
    return Page(status, _TEXT, f"{text}\n".encode())
