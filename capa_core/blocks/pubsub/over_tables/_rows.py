"""Rows of messages, as the statements of each engine return them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from capa_core.blocks.pubsub.driver import Delivery, attributes_in
from capa_core.blocks.pubsub.inspection import MessageState, PeekedMessage

LeasedRow = tuple[int, int, int, bool, float, str | bytes, str | bytes, str, str, bytes]
"""Urgency (9 - priority), number, deliveries, whether it expired before the first of these, time of publishing in
seconds since the epoch, key, id, content type, attributes, body. Key and id are text or its UTF-8."""
PeekedRow = tuple[int, int, int, float, str | bytes, str | bytes, str, str, bytes, int, str]
"""Number, urgency, deliveries, time of publishing, key, id, content type, attributes, the begin of the body, its
length, and the value of `state_sql`."""


class Receipt(NamedTuple):
    """One delivery of one message: the next one has a different count.

    Attributes:
        key: As the engine stores it.
    """

    seq: int
    times: int
    key: str | bytes


class SortedOut(NamedTuple):
    """Leased rows: the messages, the most urgent first, and those that expired, which are to be removed."""

    deliveries: list[Delivery]
    gone: list[Receipt]


def sorted_out(rows: Iterable[LeasedRow]) -> SortedOut:
    """Return the messages among *rows*, and the receipts of those that expired."""
    deliveries, gone = [], []
    for row in sorted(rows):
        if row[3]:
            gone.append(Receipt(row[1], row[2], row[5]))
        else:
            deliveries.append(_delivery(row))
    return SortedOut(deliveries, gone)


def peeked(row: PeekedRow) -> PeekedMessage:
    """Return the message in *row*; what another program wrote is shown as far as it can be read."""
    seq, urgency, count, published_at, key, ident, content_type, attributes, data, size, state = row
    return PeekedMessage(
        position=str(seq),
        id=_text(ident),
        data=data,
        size=size,
        content_type=content_type,
        attributes=attributes_in(attributes) or {},
        key=_text(key),
        priority=9 - urgency,
        delivery_count=count,
        published_at=published_at,
        state=MessageState(state),
    )


def state_sql(now: str) -> str:
    """Return the SQL of the state of a message at *now*, itself SQL: a `visible_at` of NULL is behind its key."""
    return f"""CASE WHEN visible_at IS NULL THEN '{MessageState.BEHIND}'
        WHEN visible_at <= {now} THEN '{MessageState.READY}'
        WHEN count = 0 THEN '{MessageState.DELAYED}'
        ELSE '{MessageState.IN_FLIGHT}' END"""


def _delivery(row: LeasedRow) -> Delivery:
    """Return the delivery of *row*; what another program wrote is delivered too, as far as it can be read."""
    urgency, seq, count, _, published_at, key, ident, content_type, text, data = row
    attributes, receipt = attributes_in(text) or {}, Receipt(seq, count, key)
    return Delivery(
        _text(ident), data, content_type, attributes, receipt, count, _text(key), 9 - urgency, published_at
    )


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")
