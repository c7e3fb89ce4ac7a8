"""Parsing of the answers of the scripts that inspect queues."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

from capa_core.blocks.pubsub.inspection import GroupStatus, MessageState, PeekedMessage, TopicStatus
from capa_core.components.redis._client import Client, glob_escaped

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
    """Return one message from a row of the script PEEK; an entry that another program wrote lacks parts of one."""
    position, level, state, count, size, entry_id, fields = row
    entry = dict(zip(fields[::2], fields[1::2], strict=True))
    attributes, published = entry.get(b"a"), entry.get(b"t")
    return PeekedMessage(
        position=position.decode(),
        id=entry.get(b"i", entry_id).decode(errors="replace"),
        data=entry.get(b"d", b""),
        size=size,
        content_type=entry.get(b"c", b"application/octet-stream").decode(errors="replace"),
        attributes=_attributes(attributes),
        key="",
        priority=int(level),
        delivery_count=count,
        published_at=float(published) if published else int(entry_id.partition(b"-")[0]) / 1000,
        state=MessageState(state.decode()),
    )


def _attributes(stored: bytes | None) -> dict[str, str]:
    try:
        return json.loads(stored) if stored else {}
    except (ValueError, RecursionError):
        return {}
