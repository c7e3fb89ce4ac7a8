"""The default envelope: CloudEvents 1.0, structured mode, JSON format.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md and `formats/json-format.md` beside it; the
trace context as in the distributed tracing extension.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from capa_core.call.body import JSON, dumps, is_json, loads
from capa_core.errors import InvalidArgumentError

CONTENT_TYPE = "application/cloudevents+json"
DEFAULT_TYPE = "capa.event"

_OWN = frozenset({"specversion", "id", "datacontenttype", "data", "data_base64"})
_NAME = re.compile(r"[a-z0-9]{1,64}")


def wrap(
    body: bytes,
    content_type: str,
    *,
    ident: str,
    source: str,
    attributes: Mapping[str, str],
) -> bytes:
    """Return the event around *body*.

    Args:
        body: JSON is embedded as a value, UTF-8 text as a string, all else in base64, so that it comes out the same.
        content_type: Becomes `datacontenttype`.
        ident: Becomes `id`.
        source: For events without a `source` in *attributes*.
        attributes: `type`, `source`, `subject`, `time`, `dataschema` and extensions.

    Raises:
        InvalidArgumentError: A name in *attributes* is none of CloudEvents', or one that the envelope sets itself.
    """
    event: dict[str, Any] = {"specversion": "1.0", "id": ident, "source": source, "type": DEFAULT_TYPE}
    event["time"] = datetime.now(UTC).isoformat()
    for name, value in attributes.items():
        event[_checked(name)] = value
    event["datacontenttype"] = content_type
    return dumps(event | _embedded(body, content_type))


def unwrap(envelope: bytes) -> tuple[str, bytes, str, dict[str, str]] | None:
    """Return id, body, content type and attributes of an event, or `None` if *envelope* is none."""
    try:
        event = loads(envelope)
        if event["specversion"] != "1.0":
            return None
        kind = event.get("datacontenttype", JSON)
        if not (isinstance(event["id"], str) and isinstance(kind, str)):
            return None
        rest = {name: _text(value) for name, value in event.items() if name not in _OWN and value is not None}
        return event["id"], _extracted(event, kind), kind, rest
    except (ValueError, KeyError, TypeError):
        return None


def _checked(name: str) -> str:
    if name in _OWN or not _NAME.fullmatch(name):
        raise InvalidArgumentError(
            f"attribute {name!r} cannot stand in a CloudEvent: use lower-case letters and digits, and none of "
            f"{', '.join(sorted(_OWN))}; or publish with raw=True"
        )
    return name


def _embedded(body: bytes, content_type: str) -> dict[str, Any]:
    if is_json(content_type):
        value = _exact_json(body)
        return {"data_base64": b64encode(body).decode()} if value is _NOT_EXACT else {"data": value}
    if content_type.startswith("text/"):
        try:
            return {"data": body.decode()}
        except UnicodeDecodeError:
            pass
    return {"data_base64": b64encode(body).decode()}


_NOT_EXACT = object()


def _exact_json(body: bytes) -> Any:
    """Return the value of *body* if writing it again gives the same bytes: a consumer gets the published bytes."""
    try:
        value = loads(body)
        return value if dumps(value) == body else _NOT_EXACT
    except ValueError:
        return _NOT_EXACT


def _extracted(event: Mapping[str, Any], content_type: str) -> bytes:
    if "data_base64" in event:
        return b64decode(event["data_base64"], validate=True)
    if "data" not in event:
        return b""
    value = event["data"]
    if isinstance(value, str) and not is_json(content_type):
        return value.encode()
    return dumps(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value).decode()
