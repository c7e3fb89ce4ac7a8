"""Twin steps: the same calls on the original and on the shim, with their outcomes."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import requests

import capa_requests

BOTH: tuple[ModuleType, ModuleType] = (requests, capa_requests)

#: Headers that differ from one answer to the next.
_VARYING = {"date"}


def seen(response: Any) -> dict[str, Any]:
    """Return the parts of a response that two equal exchanges have in common."""
    raw = response.raw
    return {
        "type": type(response),
        "status": response.status_code,
        "reason": response.reason,
        "headers": [
            (name, value) for name, value in response.headers.items() if name.lower() not in _VARYING
        ],
        "url": response.url,
        "encoding": response.encoding,
        "content": response.content,
        "text": response.text,
        "cookies": sorted((cookie.name, cookie.value, cookie.path) for cookie in response.cookies),
        "history": [(past.status_code, past.url, past.content) for past in response.history],
        "links": response.links,
        "ok": response.ok,
        "redirect": (
            response.is_redirect,
            response.is_permanent_redirect,
            response.next and response.next.url,
        ),
        "request": seen_request(response.request),
        "elapsed": response.elapsed.total_seconds() > 0,
        "raw": (type(raw), raw.status, raw.reason, raw.version, raw.tell(), raw.closed, raw.isclosed()),
        "raw headers": sorted(
            (name, value) for name, value in raw.headers.items() if name.lower() not in _VARYING
        ),
        "message": sorted(name for name in raw._original_response.msg.keys()),  # noqa: SIM118 - repeated names
        "attributes": sorted(vars(raw)),
        "connection": isinstance(response.connection, requests.adapters.HTTPAdapter),
    }


def seen_request(request: Any) -> dict[str, Any]:
    """Return the content of a prepared request."""
    return {
        "type": type(request),
        "method": request.method,
        "url": request.url,
        "headers": list(request.headers.items()),
        "body": request.body if isinstance(request.body, bytes | str | None) else type(request.body),
        "cookies": sorted((cookie.name, cookie.value) for cookie in request._cookies),
        "hooks": {event: len(hooks) for event, hooks in request.hooks.items()},
    }


def outcome(step: Callable[[ModuleType], Any], library: ModuleType) -> Any:
    """Return the outcome of *step* on *library*: its result, or the types of its exception and the causes."""
    try:
        result = step(library)
    except Exception as error:
        return (
            "raised",
            type(error),
            [type(argument) for argument in error.args],
            getattr(error, "request", None) is None,
        )
    return seen(result) if isinstance(result, requests.Response) else result


def outcomes(step: Callable[[ModuleType], Any]) -> tuple[Any, Any]:
    """Return the outcomes of *step* on the original and on the shim."""
    return outcome(step, requests), outcome(step, capa_requests)
