"""The backlog of Celery's queues on Redis: all that waits, to be moved to another engine, once and without loss."""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NoReturn, cast

from capa_core.abilities import absent, approximate
from capa_core.blocks.pubsub.driver import ConsumerDriver, Delivery, PubSubDriver, PubSubFeature
from capa_core.blocks.pubsub.inspection import (
    GroupStatus,
    MessageState,
    PeekedMessage,
    TopicStatus,
    number_of_position,
)
from capa_core.components.redis import _celery_backlog_scripts as scripts
from capa_core.components.redis._celery_layout import HeldMessage
from capa_core.components.redis._celery_queues import CONTENT_TYPE, CeleryQueues
from capa_core.components.redis._client import Client, Script, glob_escaped
from capa_core.errors import ConflictError, UnsupportedError

GROUP = "celery"
_PAGE = 500
_LOOK_EVERY_S = 0.05
_RESTORE_EVERY_S = 1.0
_OF_CONTROL = (".pidbox", "celeryev")
"""In the names of the exchanges of commands, replies and events: what is there is for those who listen now."""


class CeleryBacklog(CeleryQueues):
    """The queues of `CeleryQueues` for one who moves all that waits in them. See `PubSubDriver.in_layout`.

    Beside the keys that are described there, of each queue:

    - `_capa.celery.moved:<queue>`: a hash of the messages that are on their way to another engine. One goes there from
      its list in one step, where no worker looks, and goes from there when it is stored or given back.
    - `_capa.celery.mover:<queue>`: the token of the one who moves them.

    A message that a worker holds is left to it. Those of a dead consumer of Capa come back to their lists after its
    lease. Those of a dead worker of Celery come back as with Celery, but only where the options name the
    `visibility_timeout`: with a shorter one than the fleet has, they would be taken from live workers.
    """

    features = {
        **CeleryQueues.features,
        PubSubFeature.NACK_DELAY: absent("a message is moved, or released"),
        PubSubFeature.INSPECT: approximate("what workers hold is counted, and not shown by a look"),
    }

    def __init__(self, under: PubSubDriver[Any], client: Client, options: Mapping[str, Any]) -> None:
        super().__init__(under, client, options)
        given = options.get("visibility_timeout")
        self.layout = replace(self.layout, visibility_s=math.inf if given is None else float(given))

    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        """Take what waits in a queue: see `PubSubDriver.in_layout`. There are no leases."""
        del group, lease_s
        if temporary:
            raise UnsupportedError(f"{topic!r}: the backlog of a queue has no broadcasts.")
        return _Mover(self, topic)

    def depth(self, topic: str, group: str) -> int:
        """Return how many messages wait in the lists, are on their way, or are held by workers."""
        del group
        return self._status(topic).depth

    def topics(self) -> Iterator[str]:
        """Yield the queues that are bound to exchanges; a queue that was used is."""
        seen: set[str] = set()
        pattern = glob_escaped(self.layout.bindings("")) + "*"
        for key in self.client.scan(pattern, count=_PAGE, kind="set"):
            if not _is_of_control(self.layout.exchange_of(key.decode(errors="replace"))):
                members = self.client.call("SMEMBERS", key)
                found = {self.layout.queue_in(member) for member in members} - seen - {""}
                seen |= found
                yield from sorted(found)

    def inspect(self, topic: str) -> TopicStatus:
        """See `PubSubDriver.inspect`: `in_flight` is what workers hold, and may still settle."""
        return TopicStatus(name=topic, groups=(self._status(topic),))

    def peek(self, topic: str, group: str, most: int, *, after: str, max_bytes: int) -> list[PeekedMessage]:
        """See `PubSubDriver.peek`: the most urgent first; what workers hold is not shown."""
        del group
        first = skip = number_of_position(after)
        moving, _ = self.layout.moving(topic)
        under_way = self.client.call("HVALS", moving)
        found = under_way[skip : skip + most]
        skip = max(0, skip - len(under_way))
        for name in self.layout.all_lists(topic):
            if len(found) == most:
                break
            length = int(self.client.call("LLEN", name))
            last = length - 1 - skip  # the right end is read first
            if last >= 0:
                start = max(0, last + 1 - (most - len(found)))
                found += reversed(self.client.call("LRANGE", name, start, last))
            skip = max(0, skip - length)
        return [_peeked(data, first + number, max_bytes) for number, data in enumerate(found, 1)]

    def _status(self, queue: str) -> GroupStatus:
        moving, _ = self.layout.moving(queue)
        lists = [("LLEN", name) for name in self.layout.all_lists(queue)]
        waiting = sum(map(int, self.client.call_many([("HLEN", moving), *lists])))
        held, overdue = self._held(queue)
        return GroupStatus(name=GROUP, depth=waiting + held + overdue, in_flight=held)

    def _held(self, queue: str) -> tuple[int, int]:
        """Return how many messages of *queue* workers hold, and how many their workers are taken for dead by now."""
        unacked, index, _ = self.layout.holding
        seconds, microseconds = map(int, self.client.call("TIME"))
        since = seconds + microseconds / 1e6 - self.layout.visibility_s
        held = overdue = start = 0
        while page := self.client.call("ZRANGE", index, start, start + _PAGE - 1, "WITHSCORES"):
            start += _PAGE
            fields, scores = page[::2], page[1::2]
            for raw, score in zip(self.client.call("HMGET", unacked, *fields), scores, strict=True):
                message = HeldMessage.of(raw) if raw else None
                if message is not None and queue in self.queues_of(message):
                    is_overdue = float(score) <= since
                    held, overdue = held + (not is_overdue), overdue + is_overdue
        return held, overdue


class _Mover(ConsumerDriver):
    """The one who moves what waits in a queue; another one may take its place at any time, and goes on."""

    def __init__(self, driver: CeleryBacklog, queue: str) -> None:
        self._driver = driver
        self._queue = queue
        self._keys = (*driver.layout.moving(queue), *driver.layout.all_lists(queue))
        self._token = uuid.uuid4().hex
        self._takes = 0
        self._closed = threading.Event()
        self._next_restore = 0.0
        found = driver.client.run_on(scripts.BEGIN, self._keys, self._token)
        self._left = deque(zip(found[::2], found[1::2], strict=True))

    def receive(self, max_messages: int, timeout_s: float) -> list[Delivery]:
        """See `ConsumerDriver.receive`: first what is on its way since a mover before was killed."""
        end = time.monotonic() + timeout_s
        while not self._closed.is_set():
            found = self._take_left(max_messages) or self._take(max_messages)
            if not found and self._restored():
                continue
            if found or time.monotonic() >= end:
                return [_delivery(receipt, raw) for receipt, raw in found]
            self._closed.wait(_LOOK_EVERY_S)
        return []

    def ack(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.ack`."""
        self._run(scripts.DONE, *cast("Sequence[bytes]", receipts))

    def nack(self, receipts: Sequence[object], delay_s: float) -> NoReturn:
        """Refuse it: a queue of Celery's keeps no message for later."""
        del receipts, delay_s
        raise UnsupportedError(f"{self._queue!r}: a message of a backlog is moved, or released.")

    def release(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.release`: they are the first of their lists again."""
        self._run(scripts.GIVE_BACK, *reversed(cast("Sequence[bytes]", receipts)))

    def extend(self, receipts: Sequence[object]) -> list[bool]:
        """See `ConsumerDriver.extend`: nothing is lost while no other one moves these messages."""
        is_ours = self._driver.client.call("GET", self._keys[1]) == self._token.encode()
        return [is_ours] * len(receipts)

    def close(self) -> None:
        """Leave the queue. What was neither acknowledged nor released stays on its way, for the next one."""
        if not self._closed.is_set():
            self._closed.set()
            self._driver.client.run_on(scripts.END, self._keys, self._token)

    def _take_left(self, most: int) -> list[tuple[bytes, bytes]]:
        return [self._left.popleft() for _ in range(min(most, len(self._left)))]

    def _take(self, most: int) -> list[tuple[bytes, bytes]]:
        self._takes += 1
        found = self._run(scripts.TAKE, f"{self._token}.{self._takes:x}", most)
        return list(zip(found[::2], found[1::2], strict=True))

    def _restored(self) -> int:
        """Give back what dead workers held, and return how many messages that were."""
        if time.monotonic() < self._next_restore:
            return 0
        restored = self._driver.restore_lost(None)
        if math.isfinite(self._driver.layout.visibility_s):
            restored += self._driver.restore_overdue()
        if not restored:
            self._next_restore = time.monotonic() + _RESTORE_EVERY_S
        return restored

    def _run(self, script: Script, *arguments: Any) -> Any:
        answer = self._driver.client.run_on(script, self._keys, self._token, *arguments)
        if answer is None:
            raise ConflictError(
                f"another process moves the messages of {self._queue!r} since then, and goes on with those that were"
                " under way here. Let it end: one at a time moves a queue"
            )
        return answer


def _is_of_control(exchange: str) -> bool:
    return exchange.endswith(_OF_CONTROL[0]) or exchange.startswith(_OF_CONTROL[1])


def _delivery(receipt: bytes, raw: bytes) -> Delivery:
    return Delivery("", raw, CONTENT_TYPE, {}, receipt, 1)


def _peeked(data: bytes, position: int, max_bytes: int) -> PeekedMessage:
    return PeekedMessage.of(
        Delivery("", data, CONTENT_TYPE, {}, None, 0),
        str(position),
        max_bytes=max_bytes,
        delivery_count=0,
        published_at=0.0,
        state=MessageState.READY,
    )
