"""Messages as records: the body is the value, all else stands in headers.

Attributes go under their own names, so that other clients of the engine can read and write them; headers that Capa adds
begins with `capa.`. A record that another client wrote is a message too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace

from capa_core.blocks.log.driver import OutgoingRecord, Record
from capa_core.blocks.pubsub.driver import Delivery, OutgoingMessage

_OWN = "capa."
_ID = "capa.id"
_TYPE = "capa.content-type"
_ATTRIBUTE = "capa.attribute."
_DELIVERIES = "capa.deliveries"
_DUE = "capa.due"
_PUBLISHED = "capa.published"
_LONGEST_NAME = 255
_RETRY_TOPIC = re.compile(r".+\.[0-9a-f]{12}\.retry", re.DOTALL)


def record_of(message: OutgoingMessage) -> OutgoingRecord:
    """Return *message* as a record."""
    headers = {_header(name): value.encode() for name, value in message.attributes.items()}
    headers[_ID] = message.id.encode()
    headers[_TYPE] = message.content_type.encode()
    return OutgoingRecord(message.data, message.key.encode() if message.key else None, headers)


def delivery_of(record: Record, receipt: object, deliveries: int) -> Delivery:
    """Return *record* as a delivery of a message."""
    headers = record.headers
    published = _number(headers, _PUBLISHED)
    return Delivery(
        _text(headers.get(_ID, b"")) or f"{record.partition.number}-{record.offset}",
        record.value,
        _text(headers.get(_TYPE, b"")) or "application/octet-stream",
        {_attribute(name): _text(value) for name, value in headers.items() if _is_attribute(name)},
        receipt,
        deliveries,
        _text(record.key or b""),
        published_at=record.timestamp if published is None else published,
    )


def copy_of(record: Record, *, deliveries: int, due: float | None, partition: int | None) -> OutgoingRecord:
    """Return *record* for the retry topic.

    Args:
        deliveries: How often it has been delivered by now.
        due: Seconds since the epoch before which it stays hidden.
        partition: The partition to append it to; `None` for any.
    """
    headers = {**record.headers, _DELIVERIES: str(deliveries).encode()}
    headers.setdefault(_ID, f"{record.partition.number}-{record.offset}".encode())
    headers.setdefault(_PUBLISHED, repr(record.timestamp).encode())
    headers.pop(_DUE, None)
    if due is not None:
        headers[_DUE] = repr(due).encode()
    return replace(OutgoingRecord(record.value, record.key), headers=headers, partition=partition)


def deliveries_of(record: Record) -> int:
    """Return how often the message was delivered before it was written to this record."""
    return int(_number(record.headers, _DELIVERIES) or 0)


def due_of(record: Record) -> float:
    """Return when the message becomes visible, in seconds since the epoch; 0 for now."""
    return _number(record.headers, _DUE) or 0.0


def retry_topic(topic: str, group: str) -> str:
    """Return the topic of the messages that *group* has rejected: readable, and unique to topic and group."""
    own = hashlib.sha256(f"{len(topic)} {topic}{group}".encode()).hexdigest()[:12]
    ending = f".{own}.retry"
    return f"{topic}.{group}"[: _LONGEST_NAME - len(ending)] + ending


def is_retry_topic(name: str) -> bool:
    """Return whether *name* is one that `retry_topic` makes."""
    return _RETRY_TOPIC.fullmatch(name) is not None


def _header(name: str) -> str:
    return _ATTRIBUTE + name if name.startswith(_OWN) else name


def _attribute(name: str) -> str:
    return name.removeprefix(_ATTRIBUTE)


def _is_attribute(name: str) -> bool:
    return not name.startswith(_OWN) or name.startswith(_ATTRIBUTE)


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _number(headers: Mapping[str, bytes], name: str) -> float | None:
    """Return the number in a header; one that is unreadable must not make a message that is never received."""
    try:
        return float(headers[name])
    except (KeyError, ValueError):
        return None
