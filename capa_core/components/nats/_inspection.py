"""Looking at topics, groups and waiting messages.

JetStream tells how many messages wait for a consumer, and up to which one all were delivered or acknowledged. Of those
between, it does not tell which were acknowledged: this process knows it of what went through its own hands. A message
that every group has acknowledged is gone.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from capa_core.blocks.pubsub.inspection import (
    KEPT as KEPT_GROUP,
)
from capa_core.blocks.pubsub.inspection import (
    GroupStatus,
    MessageState,
    PeekedMessage,
    TopicStatus,
    check_position,
)
from capa_core.components.nats import _messages
from capa_core.components.nats._consumer import Receipt
from capa_core.components.nats._names import GROUP_KEY, KEPT, LATER, TEMPORARY, Names
from capa_core.components.nats._pages import Stored, stored
from capa_core.components.nats._streams import Place

if TYPE_CHECKING:
    from capa_core.components.nats.pubsub import NatsPubSub

_MOST_SEEN = 10_000
_POSITION = re.compile(r"(later )?[0-9]{1,18}")
_AT_LATER = "later "


class _Fate(NamedTuple):
    """The last that became of a message here; `state` is `None` once it is acknowledged."""

    state: MessageState | None
    deliveries: int


class Seen:
    """Fates of messages that consumers of this process had, the latest ten thousand."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fates: OrderedDict[tuple[str, str, int], _Fate] = OrderedDict()

    def acked(self, place: Place, receipts: Iterable[Receipt]) -> None:
        """Note that the messages of *receipts* are acknowledged."""
        self._note(place, ((receipt.number, _Fate(None, 0)) for receipt in receipts))

    def returned(self, place: Place, receipts: Iterable[Receipt], *, is_ready: bool) -> None:
        """Note that the messages of *receipts* come again, at once or later."""
        state = MessageState.READY if is_ready else MessageState.IN_FLIGHT
        self._note(place, ((receipt.number, _Fate(state, receipt.count)) for receipt in receipts))

    def fate(self, stream: str, consumer: str, number: int) -> _Fate | None:
        """Return what became of a message; `None` if it was not here, or is here now."""
        return self._fates.get((stream, consumer, number))

    def _note(self, place: Place, fates: Iterable[tuple[int, _Fate]]) -> None:
        with self._lock:
            for number, fate in fates:
                self._fates[place.stream, place.consumer, number] = fate
            while len(self._fates) > _MOST_SEEN:
                self._fates.popitem(last=False)


class Inspector:
    """Looks at one topic."""

    def __init__(self, driver: NatsPubSub, names: Names) -> None:
        self._driver = driver
        self._names = names

    def status(self) -> TopicStatus:
        """Return the status of the topic."""
        if self._driver.streams.info(self._names) is None:
            return TopicStatus(name=self._names.topic)
        found = [self._group(each) for each in self._driver.streams.groups(self._names)]
        if all(group.temporary for group in found):
            kept = self._driver.streams.consumer(self._names, KEPT)
            if kept is not None:
                found.append(self._group(kept))
        return TopicStatus.of(self._names.topic, sorted(found, key=lambda group: group.name))

    def depth(self, group: str) -> int:
        """Return how many messages wait for *group*; for the first group if there is no such one."""
        found = self._of_group(group)
        return (_waiting(found) if found else 0) + self._delayed()

    def peek(self, group: str, most: int, after: str, max_bytes: int) -> list[PeekedMessage]:
        """Return up to *most* messages of *group* behind the position *after*: first those that are due."""
        check_position(after, _POSITION)
        found = self._of_group(group)
        if found is None:
            return []
        peeked: list[PeekedMessage] = []
        if not after.startswith(_AT_LATER):
            for each in self._due(found, int(after or 0)):
                state, deliveries = self._state(found, each.number)
                if state is None:
                    continue
                peeked.append(_peeked(each, str(each.number), max_bytes, state, deliveries))
                if len(peeked) == most:
                    return peeked
            after = ""
        for each in self._stored(self._names.later, int(after.removeprefix(_AT_LATER) or 0)):
            position = f"{_AT_LATER}{each.number}"
            peeked.append(_peeked(each, position, max_bytes, MessageState.DELAYED, 0))
            if len(peeked) == most:
                break
        return peeked

    def numbers(self, found: dict[str, Any]) -> list[int]:
        """Return the numbers of the messages that were delivered to a consumer, and may not be acknowledged."""
        delivered = found["delivered"]["stream_seq"]
        numbers = []
        for each in self._due(found, 0):
            if each.number > delivered:
                break
            numbers.append(each.number)
        return numbers

    # --- parts

    def _of_group(self, group: str) -> dict[str, Any] | None:
        streams, names = self._driver.streams, self._names
        candidates = (names.consumer(group), names.consumer(group, temporary=True), KEPT)
        return next((found for each in candidates if (found := streams.consumer(names, each))), None)

    def _group(self, found: dict[str, Any]) -> GroupStatus:
        metadata = found["config"].get("metadata") or {}
        name = KEPT_GROUP if found["name"] == KEPT else metadata.get(GROUP_KEY, found["name"])
        delayed = self._delayed()
        oldest = [
            next(self._due(found, 0), None),
            next(self._stored(self._names.later, 0), None) if delayed else None,
        ]
        times = [each.stored_at for each in oldest if each is not None]
        return GroupStatus(
            name=name,
            depth=_waiting(found) + delayed,
            in_flight=found["num_ack_pending"],
            oldest_s=max(0.0, time.time() - min(times)) if times else None,
            temporary=found["name"].startswith(TEMPORARY),
        )

    def _delayed(self) -> int:
        later = self._driver.streams.consumer(self._names, LATER)
        return int(later["num_pending"]) if later else 0

    def _due(self, found: dict[str, Any], after: int) -> Iterator[Stored]:
        """Yield the messages that a consumer may not have acknowledged, behind the number *after*."""
        return self._stored(self._names.now, max(after, found["ack_floor"]["stream_seq"]))

    def _state(self, found: dict[str, Any], number: int) -> tuple[MessageState | None, int]:
        """Return the state of a message, `None` if it is acknowledged, and the number of its deliveries."""
        if number > found["delivered"]["stream_seq"]:
            return MessageState.READY, 0
        stream, consumer = found["stream_name"], found["name"]
        for receipt in self._driver.held(stream, consumer):
            if receipt.number == number:
                return MessageState.IN_FLIGHT, receipt.count
        fate = self._driver.seen.fate(stream, consumer, number)
        return fate or (MessageState.IN_FLIGHT, 1)

    def _stored(self, subject: str, after: int) -> Iterator[Stored]:
        """Yield the messages of a subject in their order, behind the number *after*."""
        return stored(self._driver.link, self._names.stream, subject, after)


def _waiting(found: dict[str, Any]) -> int:
    return int(found["num_pending"] + found["num_ack_pending"])


def _peeked(
    found: Stored, position: str, max_bytes: int, state: MessageState, deliveries: int
) -> PeekedMessage:
    seen = _messages.delivery(found.headers, found.body, None, deliveries, found.stored_at)
    return PeekedMessage.of(
        seen,
        position,
        max_bytes=max_bytes,
        delivery_count=deliveries,
        published_at=seen.published_at,
        state=state,
    )
