"""`requests.api`: single calls, without a session of the caller's.

The original makes a session, and so a connection, for each call. Here calls share connections, and nothing else:
cookies, and all that a response can change, belong to the one call.
"""

from __future__ import annotations

import threading
from typing import Any

import requests.api as _original
from requests.cookies import RequestsCookieJar
from requests.models import Response

from capa_core import shims
from capa_requests import _originals, sessions
from capa_requests._settings import settings
from capa_requests.adapters import HTTPAdapter

_CONNECTIONS_PER_HOST = 256  # above it urllib3 drops connections, and warns of it
_HOSTS = 64


class _SharedAdapter(HTTPAdapter):
    """An adapter that outlives the call."""

    _shared = True

    def close(self) -> None:
        """Leave the connections open for the next call."""


class _OneCallSession(sessions.Session):
    """A session that takes everything from a template but its cookies."""

    def __init__(self, template: sessions.Session) -> None:
        # The original's constructor makes the adapters, which is most of the cost of a call.
        vars(self).update(vars(template), cookies=RequestsCookieJar())


_template: sessions.Session | None = None
_lock = threading.Lock()


def request(method: Any, url: Any, **kwargs: Any) -> Response:
    """Send a request and return the answer. The arguments are those of `Session.request`.

    Raises:
        RequestException: The original raises it for the same failure.
    """
    if not _originals.API.unchanged() or settings().is_legacy:
        return _original.request(method, url, **kwargs)
    with _session(kwargs) as session:
        return session.request(method=method, url=url, **kwargs)


def _session(kwargs: dict[str, Any]) -> sessions.Session:
    auth = kwargs.get("auth")
    # Some schemes (NTLM, Negotiate) log in a connection rather than a request: such a one must not be shared.
    logs_in_connection = auth is not None and not isinstance(auth, tuple)
    if logs_in_connection or kwargs.get("cert") or kwargs.get("proxies") or not settings().share_connections:
        return sessions.Session()
    return _OneCallSession(_shared_template())


def _shared_template() -> sessions.Session:
    global _template  # noqa: PLW0603 - one for the process
    if _template is None:
        with _lock:
            if _template is None:
                template = sessions.Session()
                for prefix in list(template.adapters):
                    template.adapters[prefix] = _SharedAdapter(_HOSTS, _CONNECTIONS_PER_HOST)
                _template = template
    return _template


def get(url: Any, params: Any = None, **kwargs: Any) -> Response:
    """Send a GET request; the arguments are those of `request`."""
    return request("get", url, params=params, **kwargs)


def options(url: Any, **kwargs: Any) -> Response:
    """Send an OPTIONS request; the arguments are those of `request`."""
    return request("options", url, **kwargs)


def head(url: Any, **kwargs: Any) -> Response:
    """Send a HEAD request, by default without following redirects; the arguments are those of `request`."""
    kwargs.setdefault("allow_redirects", False)
    return request("head", url, **kwargs)


def post(url: Any, data: Any = None, json: Any = None, **kwargs: Any) -> Response:
    """Send a POST request; the arguments are those of `request`."""
    return request("post", url, data=data, json=json, **kwargs)


def put(url: Any, data: Any = None, **kwargs: Any) -> Response:
    """Send a PUT request; the arguments are those of `request`."""
    return request("put", url, data=data, **kwargs)


def patch(url: Any, data: Any = None, **kwargs: Any) -> Response:
    """Send a PATCH request; the arguments are those of `request`."""
    return request("patch", url, data=data, **kwargs)


def delete(url: Any, **kwargs: Any) -> Response:
    """Send a DELETE request; the arguments are those of `request`."""
    return request("delete", url, **kwargs)


shims.mirror(__name__, _original)
