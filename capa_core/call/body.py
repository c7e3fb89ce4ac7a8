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
        InvalidArgumentError: *data* has no form in JSON, or is text without one in UTF-8.
    """
    if isinstance(data, bytes):
        return data, content_type or BINARY
    if isinstance(data, str):
        return _utf8(data), content_type or TEXT
    if isinstance(data, bytearray | memoryview):
        return bytes(data), content_type or BINARY
    return dumps(data), content_type or JSON


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:  # it holds the whole text, so it is not chained
        reason = error.reason
    raise InvalidArgumentError(f"the data is not valid Unicode: {reason}. Give bytes, or valid text")


def dumps(value: Any, subject: str = "the data") -> bytes:
    """Return *value* as compact JSON in UTF-8; *subject* names it in the error.

    Raises:
        InvalidArgumentError: It has no form in JSON; NaN and infinities have none.
    """
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            f"{subject}, of type {type(value).__name__}, has no JSON form: {error}. "
            "Give bytes, text, or a value that JSON can hold"
        ) from error


def loads(text: str | bytes) -> Any:
    """Return the value of the JSON *text*.

    Raises:
        ValueError: It is something else, or nested too deeply to be read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def is_json(content_type: str) -> bool:
    """Return whether *content_type* names JSON, including types such as `application/problem+json`."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind in (JSON, "text/json") or kind.endswith("+json")
