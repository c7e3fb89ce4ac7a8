"""Messages as AMQP 0-9-1 has them: properties, and attributes as headers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pika

from capa_core.blocks.pubsub.driver import Delivery, OutgoingMessage
from capa_core.components.rabbitmq._connection import Channel

_LASTING = 2
_LONGEST_SHORT = 255
_ID, _CONTENT_TYPE, _EARLIER, _AT = "capa-id", "capa-content-type", "capa-earlier", "capa-at"
_OF_BROKER = ("x-death", "x-first-death-", "x-last-death-", "x-delivery-count")
_OWN = frozenset((_ID, _CONTENT_TYPE, _EARLIER, _AT))


@dataclass(slots=True, eq=False)
class Pulled:
    """One delivery, and its own receipt.

    Attributes:
        until: The end of its lease.
        deliveries: The number of the delivery; whoever knows of earlier ones sets it.
    """

    channel: Channel
    tag: int
    properties: pika.BasicProperties
    body: bytes
    until: float = 0.0
    deliveries: int = 1


def properties(message: OutgoingMessage) -> pika.BasicProperties:
    """Return the properties of *message*; texts that are too long for them become headers."""
    now = time.time()
    headers: dict[str, Any] = {**message.attributes, _AT: int(now * 1000)}  # a timestamp has whole seconds
    return pika.BasicProperties(
        message_id=_short(headers, _ID, message.id),
        content_type=_short(headers, _CONTENT_TYPE, message.content_type),
        headers=headers,
        delivery_mode=_LASTING,
        timestamp=int(now),
    )


def again(sent: pika.BasicProperties, deliveries: int) -> pika.BasicProperties:
    """Return the properties of a copy of a message that was delivered *deliveries* times before."""
    return pika.BasicProperties(
        message_id=sent.message_id,
        content_type=sent.content_type,
        headers={**_headers(sent), _EARLIER: deliveries},
        delivery_mode=_LASTING,
        timestamp=sent.timestamp,
    )


def delivery(sent: pika.BasicProperties, body: bytes, receipt: object, count: int) -> Delivery:
    """Return the delivery number *count* of a message, of this component or of another program."""
    headers = _headers(sent)
    return Delivery(
        ident(sent),
        body,
        headers.get(_CONTENT_TYPE) or sent.content_type or "application/octet-stream",
        {name: _text(value) for name, value in headers.items() if name not in _OWN},
        receipt,
        count,
        published_at=published_at(sent),
    )


def ident(sent: pika.BasicProperties) -> str:
    """Return the id of a message; `""` for one of another program that has none."""
    return str((sent.headers or {}).get(_ID) or sent.message_id or "")


def published_at(sent: pika.BasicProperties) -> float:
    """Return the time at which a message was published; 0 if it is not known."""
    at = (sent.headers or {}).get(_AT)
    return at / 1000 if isinstance(at, int) else _seconds(sent.timestamp)


def returns(sent: pika.BasicProperties) -> int:
    """Return how often the broker gave this copy of a message back, after a lost lease or a look at it."""
    count = (sent.headers or {}).get("x-delivery-count")
    return count if isinstance(count, int) else 0


def deliveries(sent: pika.BasicProperties, looks: Mapping[str, int]) -> int:
    """Return how often a message was delivered, this time included, but for the *looks* at each id."""
    earlier = (sent.headers or {}).get(_EARLIER)
    lost = returns(sent)
    if lost:
        lost = max(0, lost - looks.get(ident(sent), 0))
    return 1 + lost + (earlier if isinstance(earlier, int) else 0)


def _headers(sent: pika.BasicProperties) -> Mapping[str, Any]:
    return {name: value for name, value in (sent.headers or {}).items() if not name.startswith(_OF_BROKER)}


def _short(headers: dict[str, Any], name: str, text: str) -> str | None:
    if len(text.encode()) <= _LONGEST_SHORT:
        return text
    headers[name] = text
    return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def _seconds(timestamp: object) -> float:
    return float(timestamp) if isinstance(timestamp, int) else 0.0
