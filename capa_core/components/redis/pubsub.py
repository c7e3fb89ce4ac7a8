"""Pub/sub on Redis streams with consumer groups: no message is lost with its consumer."""

from __future__ import annotations

import json
import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import redis
from pydantic import Field

from capa_core.abilities import BY_CORE, BY_DRIVER, NATIVE, absent, approximate
from capa_core.blocks.pubsub.driver import (
    LONGEST_ONCE_S,
    ConsumerDriver,
    Delivery,
    OutgoingMessage,
    PubSubDriver,
    PubSubFeature,
    PubSubLimits,
    outcomes,
)
from capa_core.blocks.pubsub.inspection import PeekedMessage, TopicStatus, check_position
from capa_core.components.redis import _pubsub_scripts as scripts
from capa_core.components.redis import _pubsub_status
from capa_core.components.redis import _pubsub_status_scripts as status_scripts
from capa_core.components.redis._client import Script
from capa_core.components.redis._driver import RedisDriver
from capa_core.components.redis._entries import PLAIN, entry
from capa_core.components.redis._settings import RedisSettings
from capa_core.errors import CapaError, UnknownError

LEVELS = range(9, -1, -1)
_SLICE_S = 0.25
"""The longest blocking read, and so the longest delay of a `close`. In the scripts it is SOON_MS."""
_TRUSTED_S = 0.05
"""Time after a search for redeliveries during which only new messages are read."""
_LOOK_FOR_LOST_S = 1.0
_FORGET_CONSUMERS_S = 60.0
_DEAD_CONSUMER_MS = 600_000

_KNOWN = 0
"""The answer of the script ONCE about an id that was published before."""

T = TypeVar("T")
_Receipt = str


class RedisPubSubSettings(RedisSettings):
    """The address of the server, the prefix of its keys, and the life of broadcast groups.

    Attributes:
        abandoned_s: Seconds after the last heartbeat of its consumer at which a broadcast group is removed.
    """

    prefix: str = "capa:pubsub:"
    abandoned_s: float = Field(default=60.0, gt=0)


class RedisPubSub(RedisDriver[RedisPubSubSettings], PubSubDriver[RedisPubSubSettings]):
    """Pub/sub on ten streams for each topic, one for each priority, with a consumer group for each group.

    All keys of a topic begin with `<prefix>{:<topic>}`, its base, and so share a slot of a cluster:

    - `<base>:0` to `<base>:9`: the streams. Fields of an entry: `i` id, `d` data, `c` content type, `a` attributes as
      JSON, `t` the publishing time if that is not when it was added. Default values are left out.
    - `<base>:groups`: a hash of each group and the time of its removal, 0 for never.
    - `<base>:later`: a sorted set of delayed messages by their due times.
    - `<base>:once`: a sorted set of the ids that are published once, by the times until which they are known.
    - `<base>:back:<group>`: a sorted set of returned messages by the times of their redelivery.
    - `<base>:wake`: a stream that wakes a consumer when a message is due before its next poll. A due message is late by
      more than 50 ms only if the consumer that was woken is busy; by at most 250 ms.

    A publish is one XADD. An entry is deleted when every group has acknowledged it. The name of a consumer begins with
    its lease, so that each consumer can detect expired leases of others.
    """

    settings_type = RedisPubSubSettings
    features = {
        **dict.fromkeys(PubSubFeature, NATIVE),
        PubSubFeature.LEASE: BY_DRIVER,
        PubSubFeature.NACK_DELAY: BY_DRIVER,
        PubSubFeature.DELAY: BY_DRIVER,
        PubSubFeature.TTL: BY_CORE,
        PubSubFeature.DEAD_LETTER: BY_CORE,
        PubSubFeature.BROADCAST: BY_DRIVER,
        PubSubFeature.PRIORITY: BY_DRIVER,
        PubSubFeature.ORDER_BY_KEY: absent("a stream hands its entries to all consumers of a group at once"),
        PubSubFeature.DURABLE: approximate("as the server's appendonly and appendfsync settings define"),
    }

    def __init__(self, settings: RedisPubSubSettings) -> None:
        super().__init__(settings)

    @property
    def limits(self) -> PubSubLimits:
        """See `PubSubDriver.limits`."""
        return PubSubLimits(max_message_bytes=self.settings.max_bulk_bytes, max_once_s=LONGEST_ONCE_S)

    def in_layout(self, layout: str, options: Mapping[str, Any]) -> PubSubDriver[Any]:
        """See `PubSubDriver.in_layout`: `celery` and `celery-backlog`, on one server."""
        if layout not in ("celery", "celery-backlog") or self.client.declares_keys:
            return super().in_layout(layout, options)
        # few fleets are mixed, and each is moved once
        from capa_core.components.redis._celery_backlog import CeleryBacklog
        from capa_core.components.redis._celery_queues import CeleryQueues

        return (CeleryQueues if layout == "celery" else CeleryBacklog)(self, self.client, options)

    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        """See `PubSubDriver.publish`."""
        base = self._base(topic)
        if len(messages) == 1:
            is_new = self._publish_one(base, messages[0])
            return outcomes(messages, [is_new])
        keys = self.keys(base)
        answers = self.client.call_many(list(_commands(base, keys, messages)))
        stored = outcomes(messages, [answer != _KNOWN for answer in answers])
        return [known or self._outcome(answer) for known, answer in zip(stored, answers, strict=True)]

    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        """See `PubSubDriver.consume`."""
        life_ms = round(self.settings.abandoned_s * 1000) if temporary else 0
        return RedisConsumer(self, self._base(topic), group, lease_s, life_ms)

    def join(self, base: str, group: str, life_ms: int) -> None:
        """Create the group, or renew it."""
        self.client.run_on(scripts.JOIN, self.keys(base, group), group, life_ms)

    def depth(self, topic: str, group: str) -> int:
        """See `PubSubDriver.depth`."""
        return int(self.client.run_on(scripts.DEPTH, self.keys(self._base(topic)), group))

    def purge(self, topic: str) -> int:
        """See `PubSubDriver.purge`."""
        return int(self.client.run_on(scripts.PURGE, self.keys(self._base(topic))))

    def topics(self) -> Iterator[str]:
        """See `PubSubDriver.topics`: by SCAN, which goes through all keys of the database."""
        return _pubsub_status.topics(self.client, self.settings.prefix)

    def inspect(self, topic: str) -> TopicStatus:
        """See `PubSubDriver.inspect`: consumers are those that asked within a minute, or hold something."""
        keys = self.keys(self._base(topic))
        answer = self.client.run_on(status_scripts.INSPECT, keys, status_scripts.LIVING_CONSUMER_MS)
        return _pubsub_status.topic_status(topic, answer)

    def peek(self, topic: str, group: str, most: int, *, after: str, max_bytes: int) -> list[PeekedMessage]:
        """See `PubSubDriver.peek`: the most urgent first, the delayed ones last."""
        check_position(after, _pubsub_status.POSITION)
        keys = self.keys(self._base(topic), group)
        rows = self.client.run_on(status_scripts.PEEK, keys, group, most, max_bytes, after)
        return [_pubsub_status.peeked(row) for row in rows]

    def purge_group(self, topic: str, group: str) -> int:
        """See `PubSubDriver.purge_group`: delayed messages stay while there are other groups."""
        keys = self.keys(self._base(topic), group)
        return int(self.client.run_on(status_scripts.PURGE_GROUP, keys, group))

    def keys(self, base: str, *groups: str) -> Sequence[str]:
        """Return the keys to tell a script: the base of the topic, and with a cluster all that may be there."""
        if not self.client.declares_keys:
            return (base,)
        streams = [f"{base}:{level}" for level in LEVELS]
        returned = [f"{base}:back:{group}" for group in groups]
        return (
            base,
            *streams,
            *(f"{base}:{part}" for part in ("groups", "later", "once", "wake")),
            *returned,
        )

    def _base(self, topic: str) -> str:
        return f"{self.settings.prefix}{{:{topic}}}"

    def _publish_one(self, base: str, message: OutgoingMessage) -> bool:
        """Store *message*; return whether its id was new, if it asks for that."""
        if message.once_s:
            answer = self.client.run_on(scripts.ONCE, self.keys(base), *_once(message))
            return int(answer) != _KNOWN
        if message.delay_s:
            self.client.run_on(scripts.LATER, self.keys(base), *_delayed(message))
        else:
            self.client.call("XADD", f"{base}:{message.priority}", "*", *_fields(message))
        return True

    def _outcome(self, answer: object) -> CapaError | None:
        if not isinstance(answer, Exception):
            return None
        named = self.name_error(answer) or UnknownError
        error = named(f"Redis did not store the message: {answer}")
        error.__cause__ = answer
        return error


_Row = tuple[int, int, bytes, list[bytes]]
"""An entry of a stream: its level, how often it was delivered, its id, and names and values in turn."""


class RedisConsumer(ConsumerDriver):
    """One consumer of one consumer group on each of the topic's streams."""

    def __init__(self, driver: RedisPubSub, base: str, group: str, lease_s: float, life_ms: int) -> None:
        self._driver = driver
        self._client = driver.client
        self._base = base
        self._group = group
        self._name = f"{round(lease_s * 1000)}|{uuid.uuid4().hex}"
        self._life_ms = life_ms
        self.silence_s = life_ms / 1000 if life_ms else math.inf
        self._look_every_s = min(_LOOK_FOR_LOST_S, lease_s / 4)
        self._next_look = 0.0
        self._last_take, self._next_due = 0.0, math.inf
        self._woken = self._more = False
        self._last_level = 0
        self._slice_s = min(_SLICE_S, driver.settings.timeout_s / 2)
        self._next_forget = time.monotonic() + _FORGET_CONSUMERS_S
        self._surplus: list[Delivery] = []
        self._receiving = threading.Lock()
        self._closed = False
        self._streams = [*(f"{base}:{level}" for level in LEVELS), f"{base}:wake"]
        self._read_new = ("GROUP", group, self._name, "COUNT")
        self._keys = driver.keys(base, group)
        driver.join(base, group, life_ms)

    def receive(self, max_messages: int, timeout_s: float) -> list[Delivery]:
        """See `ConsumerDriver.receive`."""
        now = time.monotonic()
        end = now + timeout_s
        while not self._closed:
            with self._receiving:
                deliveries = self._in_group(lambda: self._receive(max_messages, end - now))  # noqa: B023 - called at once
            self._more = len(deliveries) >= max_messages
            now = time.monotonic()
            if deliveries or now >= end:
                return deliveries
        return []

    def ack(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.ack`."""
        self._run(scripts.ACK, " ".join(cast("Sequence[_Receipt]", receipts)))

    def nack(self, receipts: Sequence[object], delay_s: float) -> None:
        """See `ConsumerDriver.nack`."""
        self._run(scripts.NACK, round(delay_s * 1000), 0, *receipts)
        self._last_take = 0.0

    def release(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.release`."""
        self._run(scripts.NACK, 0, 1, *receipts)
        self._last_take = 0.0

    def extend(self, receipts: Sequence[object]) -> list[bool]:
        """See `ConsumerDriver.extend`."""
        return [held == 1 for held in self._run(scripts.EXTEND, self._life_ms, *receipts)]

    def close(self) -> None:
        """See `ConsumerDriver.close`."""
        if self._closed:
            return
        self._closed = True
        with (
            self._receiving
        ):  # messages that a `receive` in another thread leases before it ends are released too
            self._run(scripts.LEAVE, 1 if self._life_ms else 0)

    def _run(self, script: Script, *arguments: Any) -> Any:
        return self._client.run_on(script, self._keys, self._group, self._name, *arguments)

    def _in_group(self, call: Callable[[], list[Delivery]]) -> list[Delivery]:
        """Call, and once more after joining if the group is missing: the server lost it, or removed it as abandoned."""
        try:
            return call()
        except redis.ResponseError as error:
            if not str(error).startswith(("NOGROUP", "UNBLOCKED")):
                raise
        self._driver.join(self._base, self._group, self._life_ms)
        self.rejoins += 1
        return call()

    def _receive(self, most: int, left_s: float) -> list[Delivery]:
        """Return available messages; else wait for new ones, at most until another may be due."""
        if self._surplus:
            return self._read_now(most, self._surplus[0].priority + 1)
        now = time.monotonic()
        must_look = self._woken or now >= self._next_due or now - self._last_take > _TRUSTED_S
        if self._more and not must_look and (deliveries := self._read_now(most, self._last_level)):
            return deliveries
        if self._more or must_look or left_s <= 0:
            deliveries = self._take(most, now)
            if deliveries or left_s <= 0:
                return deliveries
        return self._await_new(most, min(left_s, self._slice_s))

    def _take(self, most: int, now: float) -> list[Delivery]:
        """Return redeliveries, then new messages in the order of priority."""
        look = now >= self._next_look
        again, new, *due_ms = self._run(
            scripts.TAKE, most, 1 if look else 0, self._life_ms, 1 if self._woken else 0
        )
        self._woken, self._last_take = False, now
        # A due message that was not returned had no room, here or in the server: pause briefly rather than spin.
        self._next_due = now + (due_ms[0] / 1000 or _TRUSTED_S) if due_ms else math.inf
        if look:
            # As many as there was room for: there may be more, of a consumer that held many when it died.
            self._next_look = now if len(again) >= most else now + self._look_every_s
        if now >= self._next_forget:
            self._next_forget = now + _FORGET_CONSUMERS_S
            self._run(scripts.FORGET_CONSUMERS, _DEAD_CONSUMER_MS)
        rows = [(int(level), count, ident, fields) for level, count, ident, fields in again]
        rows += [(level, 1, ident, fields) for level, entries in new for ident, fields in entries]
        return self._deliveries(rows)

    def _read_now(self, most: int, lowest: int) -> list[Delivery]:
        """Return new messages with a priority from *lowest* on, by a command that takes less time than the script."""
        streams = self._streams[: 10 - lowest]
        if not streams:
            return self._new((), most)
        answer = self._client.call(
            "XREADGROUP", *self._read_new, str(most), "STREAMS", *streams, *(">" for _ in streams)
        )
        return self._new(answer, most)

    def _await_new(self, most: int, block_s: float) -> list[Delivery]:
        """Wait for new messages."""
        block_ms = math.ceil(block_s * 1000)
        of_all = ("STREAMS", *self._streams, *(">" for _ in self._streams))
        answer = self._client.call(
            *("XREADGROUP", *self._read_new, str(most), "BLOCK", str(block_ms), *of_all),
            before_answer=self._wake_when_due if self._next_due < time.monotonic() + block_s else None,
        )
        return self._new(answer, most)

    def _new(self, answer: Any, most: int) -> list[Delivery]:
        """Return the messages in *answer*, then the surplus of the last one: each stream may have as many as *most*."""
        rows: list[_Row] = []
        for stream, entries in answer or ():
            if stream.endswith(b":wake"):
                self._woken = True
            else:
                rows += [(int(stream[-1:]), 1, ident, fields) for ident, fields in entries]
        deliveries = self._deliveries(rows) + self._surplus
        self._surplus = deliveries[most:]
        return deliveries[:most]

    def _deliveries(self, rows: Sequence[_Row]) -> list[Delivery]:
        if rows:
            self._last_level = rows[-1][0]
        return [_delivery(*row) for row in rows]

    def _wake_when_due(self, connection: Any) -> None:
        """Wake a waiting consumer when the next message is due: the server ends a wait up to 100 ms late (its `hz`)."""
        if not connection.can_read(timeout=max(0.0, self._next_due - time.monotonic())):
            self._client.call("XADD", f"{self._base}:wake", "MAXLEN", 1, "*", "in", 0)


def _commands(
    base: str, keys: Sequence[str], messages: Sequence[OutgoingMessage]
) -> Iterator[list[str | bytes | int]]:
    """Yield the commands that add *messages*, of which some may ask for a check of their ids."""
    is_sent = False
    for message in messages:
        if not message.once_s:
            yield _command(base, keys, message)
            continue
        # The first brings the script, which the server may lack; the others follow on the same connection.
        script = ("EVALSHA", scripts.ONCE.sha) if is_sent else ("EVAL", scripts.ONCE.text)
        is_sent = True
        yield [*script, len(keys), *keys, *_once(message)]


def _command(base: str, keys: Sequence[str], message: OutgoingMessage) -> list[str | bytes | int]:
    """Return the command that adds *message*; a script by its text, since the server may lack it."""
    if message.delay_s:
        return ["EVAL", scripts.LATER.text, len(keys), *keys, *_delayed(message)]
    return ["XADD", f"{base}:{message.priority}", "*", *_fields(message)]


def _fields(message: OutgoingMessage) -> list[str | bytes]:
    fields: list[str | bytes] = ["i", message.id, "d", message.data]
    if message.content_type != PLAIN:
        fields += ["c", message.content_type]
    if message.attributes:
        fields += ["a", json.dumps(dict(message.attributes))]
    return fields


def _delayed(message: OutgoingMessage) -> list[str | bytes | int]:
    """Return the arguments of the script LATER."""
    published = ["t", repr(time.time())]
    return [max(1, round(message.delay_s * 1000)), message.priority, *_fields(message), *published]


def _once(message: OutgoingMessage) -> list[str | bytes | int]:
    """Return the arguments of the script ONCE."""
    delay_ms, level, *fields = (
        _delayed(message) if message.delay_s else [0, message.priority, *_fields(message)]
    )
    return [max(1, round(message.once_s * 1000)), message.id, delay_ms, level, *fields]


def _delivery(level: int, count: int, ident: bytes, fields: list[bytes]) -> Delivery:
    """Return the delivery of one entry; *fields* alternates names and values."""
    found = entry(ident, fields)
    return Delivery(
        found.id,
        found.data,
        found.content_type,
        found.attributes,
        f"{level}|{ident.decode()}|{count}",
        count,
        "",
        level,
        found.published_at,
    )
