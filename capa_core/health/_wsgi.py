"""`/health` and `/metrics` as a WSGI application (PEP 3333)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from capa_core.health._pages import Pages

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment


class WsgiHealth(Pages):
    """An application for any WSGI server, alone or mounted below a path of another one."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        method = environ["REQUEST_METHOD"]
        page = self.page(method, environ.get("PATH_INFO", ""))
        start_response(f"{page.status.value} {page.status.phrase}", page.headers)
        return [] if method == "HEAD" else [page.body]
