"""Bodies of messages and calls: from values to bytes and a content type."""

from __future__ import annotations

import json
from typing import Any

from capa_core.errors import InvalidArgumentError

BINARY = "application/octet-stream"
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


def encoded(data: Any, content_type: str | None = None) -> tuple[bytes, str]:
    """Return *data* as bytes with *content_type*, by default that of its form.

    Bytes stay as they are, text becomes UTF-8, and everything else compact JSON in UTF-8.

    Raises:
        InvalidArgumentError: *data* has no form in JSON.
    """
    if isinstance(data, bytes):
        return data, content_type or BINARY
    if isinstance(data, str):
        return data.encode(), content_type or TEXT
    if isinstance(data, bytearray | memoryview):
        return bytes(data), content_type or BINARY
    return dumps(data), content_type or JSON


def dumps(value: Any, what: str = "the data") -> bytes:
    """Return *value* as compact JSON in UTF-8; *what* names it in the error.

    Raises:
        InvalidArgumentError: It has no form in JSON; NaN and infinities have none.
    """
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"{what}, of type {type(value).__name__}, has no JSON form: {error}. "
            "Give bytes, text, or a value that JSON can hold"
        ) from error


def is_json(content_type: str) -> bool:
    """Return whether *content_type* names JSON, including types such as `application/problem+json`."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind in (JSON, "text/json") or kind.endswith("+json")
