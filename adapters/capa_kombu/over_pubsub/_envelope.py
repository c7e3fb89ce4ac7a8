"""The bytes of a message in pub/sub: kombu's own JSON envelope, as it puts it on Redis."""

from __future__ import annotations

import base64
import json
from typing import Any

from kombu.utils import json as kombu_json

CONTENT_TYPE = "application/vnd.kombu.message+json"


def dumps(message: dict[str, Any]) -> bytes:
    """Return *message*, as kombu's channels prepare it, as bytes."""
    try:
        return json.dumps(message).encode()
    except TypeError:  # a header of a type that only kombu's encoder knows, such as a datetime
        return str(kombu_json.dumps(message)).encode()


def loads(data: bytes) -> dict[str, Any]:
    """Return the message in kombu's form.

    Raises:
        ValueError: It is not such a message.
    """
    try:
        payload: dict[str, Any] = kombu_json.loads(data)
        properties, body = payload["properties"], payload["body"]
        info = properties.setdefault("delivery_info", {})
        info.setdefault("exchange", "")
        if properties.setdefault("body_encoding", None) == "base64":
            base64.b64decode(body)
        well_formed = isinstance(body, str) and isinstance(payload["headers"], dict)
    except KeyError as error:
        raise ValueError(f"not a message of kombu: it has no {error.args[0]}") from error
    except (TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"not a message of kombu: {error}") from error
    if not well_formed:
        raise ValueError("not a message of kombu: its body or its headers are of another type")
    return payload
