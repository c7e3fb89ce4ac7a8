"""Messages as records: the body is the value, all else stands in headers.

Attributes go under their own names, so that other clients of the engine can read and write them; headers that Capa adds
begins with `capa.`. A record that another client wrote is a message too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from capa_core.blocks.log.driver import OutgoingRecord, Record
from capa_core.blocks.pubsub.driver import Delivery, OutgoingMessage

_OWN = "capa."
_ID = "capa.id"
_TYPE = "capa.content-type"
_ATTRIBUTE = "capa.attribute."
_DELIVERIES = "capa.deliveries"
DUE = "capa.due"
_PUBLISHED = "capa.published"
_LONGEST_NAME = 255
_RETRY_TOPIC = re.compile(r".+\.[0-9a-f]{12}\.retry", re.DOTALL)


def record_of(message: OutgoingMessage) -> OutgoingRecord:
    """Return *message* as a record."""
    headers = {_header(name): value.encode() for name, value in message.attributes.items()}
    headers[_ID] = message.id.encode()
    headers[_TYPE] = message.content_type.encode()
    return OutgoingRecord(message.data, message.key.encode() if message.key else None, headers)


def delivery_of(record: Record, receipt: object, counted: int) -> Delivery:
    """Return *record* as a delivery of a message, of which the group has *counted* in its place."""
    headers = record.headers
    ident, kind = headers.get(_ID), headers.get(_TYPE)
    # As of most messages: no attributes, and not from the retry topic.
    is_plain = len(headers) == 2 and ident is not None and kind is not None
    published = None if is_plain else _number(headers, _PUBLISHED)
    return Delivery(
        ident.decode(errors="replace") if ident else f"{record.partition.number}-{record.offset}",
        record.value,
        kind.decode(errors="replace") if kind else "application/octet-stream",
        {} if is_plain else _attributes(headers),
        receipt,
        counted if is_plain else deliveries_of(record) + counted,
        record.key.decode(errors="replace") if record.key else "",
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
    headers.pop(DUE, None)
    if due is not None:
        headers[DUE] = repr(due).encode()
    return OutgoingRecord(record.value, record.key, headers, partition=partition)


def deliveries_of(record: Record) -> int:
    """Return how often the message was delivered before it was written to this record."""
    return int(_number(record.headers, _DELIVERIES) or 0)


def due_of(record: Record) -> float:
    """Return when the message becomes visible, in seconds since the epoch; 0 for now."""
    return _number(record.headers, DUE) or 0.0


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


def _attributes(headers: Mapping[str, bytes]) -> dict[str, str]:
    return {
        name.removeprefix(_ATTRIBUTE): value.decode(errors="replace")
        for name, value in headers.items()
        if not name.startswith(_OWN) or name.startswith(_ATTRIBUTE)
    }


def _number(headers: Mapping[str, bytes], name: str) -> float | None:
    """Return the number in a header; one that is unreadable must not make a message that is never received."""
    if name not in headers:  # as of most messages: an error would take longer
        return None
    try:
        return float(headers[name])
    except ValueError:
        return None
