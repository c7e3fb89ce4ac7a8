"""Parsing of the answers of the scripts that inspect queues."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

from capa_core.blocks.pubsub.inspection import GroupStatus, MessageState, PeekedMessage, TopicStatus
from capa_core.components.redis._client import Client, glob_escaped
from capa_core.components.redis._entries import entry

POSITION = re.compile(r"[0-9]\|[0-9]{1,19}-[0-9]{1,19}|L\|[0-9]{1,15}")
"""The form of a position: level and id of an entry, or `L` and the rank of a delayed message."""

_SCAN_COUNT = 500


def topics(client: Client, prefix: str) -> Iterator[str]:
    """Yield each topic once: SCAN may return a key twice, and a topic has several keys."""
    seen: set[bytes] = set()
    begin = f"{prefix}{{:".encode()
    for kind, ending in (("stream", b"0"), ("stream", b"[1-9]"), ("zset", b"later")):
        pattern = glob_escaped(begin.decode()).encode() + b"*}:" + ending
        for key in client.scan(pattern, count=_SCAN_COUNT, kind=kind):
            topic = key[len(begin) : key.rindex(b"}:")]
            if topic not in seen and not (kind == "zset" and b"}:back:" in topic):
                seen.add(topic)
                yield topic.decode()


def topic_status(topic: str, answer: list[Any]) -> TopicStatus:
    """Return the status from the answer of the script INSPECT."""
    kept, oldest_ms, *groups = answer
    return TopicStatus(
        name=topic,
        groups=tuple(sorted(map(_group, groups), key=lambda group: group.name)),
        kept=kept,
        oldest_s=_age_s(oldest_ms),
    )


def _group(row: list[Any]) -> GroupStatus:
    name, depth, in_flight, oldest_ms, consumers, temporary = row
    return GroupStatus(
        name=name.decode(),
        depth=depth,
        in_flight=in_flight,
        oldest_s=_age_s(oldest_ms),
        consumers=consumers,
        temporary=bool(temporary),
    )


def _age_s(published_ms: bytes) -> float | None:
    return max(0.0, time.time() - int(published_ms) / 1000) if published_ms else None


def peeked(row: list[Any]) -> PeekedMessage:
    """Return one message from a row of the script PEEK."""
    position, level, state, count, size, ident, fields = row
    found = entry(ident, fields)
    return PeekedMessage(
        position=position.decode(),
        id=found.id,
        data=found.data,
        size=size,
        content_type=found.content_type,
        attributes=found.attributes,
        key="",
        priority=int(level),
        delivery_count=count,
        published_at=found.published_at,
        state=MessageState(state.decode()),
    )
