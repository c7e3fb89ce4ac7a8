"""Messages as JetStream keeps them: one header for what a body does not hold, in JSON, as headers are lines of text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from capa_core.blocks.pubsub.driver import Delivery, OutgoingMessage

CAPA = "Capa"
ID = "Nats-Msg-Id"
AT, TARGET = "Nats-Schedule", "Nats-Schedule-Target"
_CONTENT_TYPE = "Content-Type"
_OF_SERVER = "Nats-"
_PLAIN = "application/octet-stream"


def header(message: OutgoingMessage, published_at: float = 0.0) -> str:
    """Return the header of *message*.

    Args:
        published_at: For a message that the server publishes later, which it then dates anew.
    """
    return json.dumps(
        [message.id, message.content_type, dict(message.attributes), published_at], separators=(",", ":")
    )


def delivery(
    headers: Mapping[str, str] | None, body: bytes, receipt: object, count: int, stored_at: float
) -> Delivery:
    """Return the delivery number *count* of a message, of this component or of another program."""
    ident, content_type, attributes, published_at = _about(headers or {})
    return Delivery(
        ident, body, content_type, attributes, receipt, count, published_at=published_at or stored_at
    )


def _about(headers: Mapping[str, str]) -> tuple[str, str, dict[str, str], float]:
    own = headers.get(CAPA)
    if own is not None and (found := _parsed(own)) is not None:
        return found
    others = {
        str(name): value
        for name, value in headers.items()
        if not name.startswith(_OF_SERVER) and name != _CONTENT_TYPE
    }
    return headers.get(ID, ""), headers.get(_CONTENT_TYPE, _PLAIN), others, 0.0


def _parsed(text: str) -> tuple[str, str, dict[str, str], float] | None:
    """Return what a header says; `None` if another program wrote something else there."""
    try:
        ident, content_type, attributes, published_at = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None
    are_texts = isinstance(ident, str) and isinstance(content_type, str)
    if not are_texts or not isinstance(published_at, int | float) or not _are_texts(attributes):
        return None
    return ident, content_type, attributes, float(published_at)


def _are_texts(attributes: Any) -> bool:
    return isinstance(attributes, dict) and all(isinstance(value, str) for value in attributes.values())
