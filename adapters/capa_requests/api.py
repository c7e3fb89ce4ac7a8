"""`requests.api`: single calls, without a session of the caller's.

The original makes a session, and so a connection, for each call. Here calls share connections, and nothing else:
cookies, and all that a response can change, belong to the one call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import requests as _package
import requests.api as _original
from requests.cookies import RequestsCookieJar
from requests.models import Response

from capa_core import shims
from capa_requests import _delegation, _originals, sessions
from capa_requests._settings import settings
from capa_requests.adapters import HTTPAdapter

_VERBS = ("get", "options", "head", "post", "put", "patch", "delete")
#: Functions that libraries replace in the package as a whole (`requests_unixsocket.monkeypatch`).
_functions = {name: getattr(_package, name) for name in ("request", *_VERBS)}
_package_names = vars(_package)

#: Names that tests replace in our own module, and that then make the session of a call.
_SESSIONS = shims.AttributeSnapshot((sessions, "Session HTTPAdapter"))
_Session = sessions.Session

_CONNECTIONS_PER_HOST = 256  # above it urllib3 drops connections, and warns of it
_HOSTS = 64


class _SharedAdapter(HTTPAdapter):
    """An adapter that outlives the call."""

    _shared = True

    def close(self) -> None:
        """Leave the connections open for the next call."""


class _OneCallSession(_Session):
    """A session that takes everything from a template but its cookies."""

    def __init__(self, template: _Session) -> None:
        # The original's constructor makes the adapters, which is most of the cost of a call.
        vars(self).update(vars(template), cookies=RequestsCookieJar())


_template: _Session | None = None
_lock = threading.Lock()


def request(method: Any, url: Any, **kwargs: Any) -> Response:
    """Send a request and return the answer. The arguments are those of `Session.request`.

    Raises:
        RequestException: The original raises it for the same failure.
    """
    if _package_names.get("request") is not _functions["request"]:
        return _replaced("request", _send, method, url, **kwargs)
    return _send(method, url, **kwargs)


_own_request = request


def _send(method: Any, url: Any, **kwargs: Any) -> Response:
    if not _originals.API.unchanged() or settings().is_legacy:
        return _original.request(method, url, **kwargs)
    with _session(kwargs) as session:
        response: Response = session.request(method=method, url=url, **kwargs)
        return response


def _verb(name: str, url: Any, /, **kwargs: Any) -> Response:
    """Send a request with the verb *name*, by the function that `request` is now."""
    send = _send if request is _own_request else request
    if _package_names.get(name) is not _functions[name]:
        return _replaced(name, partial(send, name), url, **kwargs)
    return send(name, url, **kwargs)


def _replaced(name: str, ours: Callable[..., Response], *args: Any, **kwargs: Any) -> Response:
    """Call the function that a library has put in the place of the original's *name*.

    It may be ours, or call ours.
    """
    call = (name, args)
    if _delegation.is_in_progress(call):
        return ours(*args, **kwargs)
    with _delegation.delegating(call):
        found: Response = getattr(_package, name)(*args, **kwargs)
        return found


def _session(kwargs: dict[str, Any]) -> Any:
    auth = kwargs.get("auth")
    # Some schemes (NTLM, Negotiate) log in a connection rather than a request: such a one must not be shared.
    logs_in_connection = auth is not None and not isinstance(auth, tuple)
    if logs_in_connection or kwargs.get("cert") or kwargs.get("proxies"):
        return sessions.Session()
    # Another call may have used a shared connection, and an older original's own way to the wire does not look.
    if not (
        _originals.IS_CURRENT
        and settings().share_connections
        and _SESSIONS.unchanged()
        and _originals.TEMPLATE.unchanged()
    ):
        return sessions.Session()
    return _OneCallSession(_shared_template())


def _shared_template() -> _Session:
    global _template  # noqa: PLW0603 - one for the process
    if _template is None:
        with _lock:
            if _template is None:
                template = _Session()
                for prefix in list(template.adapters):
                    template.adapters[prefix] = _SharedAdapter(_HOSTS, _CONNECTIONS_PER_HOST)
                _template = template
    return _template


def get(url: Any, params: Any = None, **kwargs: Any) -> Response:
    """Send a GET request; the arguments are those of `request`."""
    return _verb("get", url, params=params, **kwargs)


def options(url: Any, **kwargs: Any) -> Response:
    """Send an OPTIONS request; the arguments are those of `request`."""
    return _verb("options", url, **kwargs)


def head(url: Any, **kwargs: Any) -> Response:
    """Send a HEAD request, by default without following redirects; the arguments are those of `request`."""
    kwargs.setdefault("allow_redirects", False)
    return _verb("head", url, **kwargs)


def post(url: Any, data: Any = None, json: Any = None, **kwargs: Any) -> Response:
    """Send a POST request; the arguments are those of `request`."""
    return _verb("post", url, data=data, json=json, **kwargs)


def put(url: Any, data: Any = None, **kwargs: Any) -> Response:
    """Send a PUT request; the arguments are those of `request`."""
    return _verb("put", url, data=data, **kwargs)


def patch(url: Any, data: Any = None, **kwargs: Any) -> Response:
    """Send a PATCH request; the arguments are those of `request`."""
    return _verb("patch", url, data=data, **kwargs)


def delete(url: Any, **kwargs: Any) -> Response:
    """Send a DELETE request; the arguments are those of `request`."""
    return _verb("delete", url, **kwargs)


shims.mirror(__name__, _original)
