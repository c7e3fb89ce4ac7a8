"""The contract of pub/sub drivers: publish in batches, and let consumers pull in batches.

Push engines buffer behind `receive`. Batches give throughput; leases bring the messages of a killed consumer back
within seconds.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from capa_core.abilities import Feature, Level
from capa_core.blocks.pubsub.inspection import PeekedMessage, TopicStatus
from capa_core.driver import Driver, SettingsT
from capa_core.engine import title_of
from capa_core.errors import AlreadyExistsError, CapaError, UnsupportedError

LONGEST_NAME = 255
LONGEST_LEASE_S = 43_200.0
LONGEST_ONCE_S = 604_800.0


class PubSubFeature(Feature):
    """Abilities of pub/sub."""

    GROUPS = ("groups", Level.ALWAYS)
    """Consumers of one group compete; each group sees each message."""
    LEASE = ("lease", Level.ALWAYS)
    """A message whose consumer died comes back after the lease, with a higher delivery count."""
    NACK_DELAY = ("nack_delay", Level.ALWAYS)
    """A message can be rejected and redelivered after a given time."""
    DELAY = ("delay", Level.ALWAYS)
    """A message can be published to become visible later."""
    TTL = ("ttl", Level.ALWAYS)
    """A message that is not received in time is dropped."""
    DEAD_LETTER = ("dead_letter", Level.ALWAYS)
    """After N deliveries a message moves to another topic. The core does it; declare it so."""
    BULK = ("bulk", Level.ALWAYS)
    """Many messages are published in one request to the engine."""
    BROADCAST = ("broadcast", Level.ALWAYS)
    """A consumer can have a group of its own that ends with it."""
    PRIORITY = ("priority", Level.COMMON)
    """Waiting messages with a higher priority are received first."""
    ORDER_BY_KEY = ("order_by_key", Level.SOME)
    """Messages with one key are received in the order of publishing, one at a time."""
    SHARED = ("shared", Level.COMMON)
    """Several processes publish to and receive from the same topics."""
    DURABLE = ("durable", Level.COMMON)
    """A published message survives a crash of the process and of the machine."""
    INSPECT = ("inspect", Level.COMMON)
    """Topics, groups and waiting messages can be listed and read."""
    PEEK_DELAYED = ("peek_delayed", Level.SOME)
    """A look at waiting messages shows the delayed ones too; the counts have them on every component."""
    PURGE_GROUP = ("purge_group", Level.COMMON)
    """The messages of one group can be removed, and the other groups keep theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PubSubLimits:
    """The most that a component accepts; `None` where no limit is known.

    Attributes:
        max_name_length: In characters, of topics and groups; the same on every component.
        max_message_bytes: Of one body, its envelope included.
        max_delay_s: The longest delay, of a message that is published and of one that is rejected.
        max_batch: Messages in one request to the engine; the core sends several requests for more.
        max_lease_s: The longest lease.
        max_once_s: For how long, at most, a message whose id was published is not stored again; 0 where the engine
            cannot tell, or keeps a window of its own for messages that do not ask for one.
    """

    max_name_length: int = LONGEST_NAME
    max_message_bytes: int | None = None
    max_delay_s: int | None = None
    max_batch: int | None = None
    max_lease_s: float = LONGEST_LEASE_S
    max_once_s: float = 0.0


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message on its way to the engine.

    Attributes:
        id: Unique within the topic; engines that deduplicate do it by this.
        data: The body, within the limits of the engine.
        attributes: ASCII names to text values, stored beside the body.
        key: For `ORDER_BY_KEY`, else `""`.
        priority: 0 (normal) to 9 (most urgent).
        delay_s: Seconds until it becomes visible; 0 for now.
        ttl_s: Seconds until it is dropped unless it was received; `None` for never.
        once_s: Seconds from now within which no further message with this id is stored in the topic, and it itself is
            not if one was; 0 for no such check. Never above the engine's `max_once_s`.
    """

    id: str
    data: bytes
    content_type: str = "application/octet-stream"
    attributes: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    priority: int = 0
    delay_s: float = 0.0
    ttl_s: float | None = None
    once_s: float = 0.0


@dataclass(slots=True)
class Delivery:
    """A message as one consumer received it.

    Attributes:
        receipt: The engine's handle for `ack`, `nack` and `extend`; opaque, valid for this delivery only.
        delivery_count: 1 the first time; approximate where the engine only knows "again".
        published_at: Seconds since the epoch, by the engine's or publisher's clock; 0 when unknown.
        reason: The reason for which its handling failed; the core sets it for the dead letter, a driver does not.
    """

    id: str
    data: bytes
    content_type: str
    attributes: Mapping[str, str]
    receipt: object
    delivery_count: int
    key: str = ""
    priority: int = 0
    published_at: float = 0.0
    reason: str = ""


def outcomes(messages: Sequence[OutgoingMessage], stored: Sequence[bool]) -> list[CapaError | None]:
    """Return the outcome of publishing each of *messages*, of which some were there before."""
    return [
        None
        if is_new
        else AlreadyExistsError(
            f"a message with the id {message.id!r} was published within {message.once_s:g} s"
        )
        for message, is_new in zip(messages, stored, strict=True)
    ]


def attributes_text(message: OutgoingMessage) -> str:
    """Return the attributes of *message* as a table stores them: as JSON, or `""` for none."""
    return json.dumps(dict(message.attributes)) if message.attributes else ""


def attributes_in(text: str) -> dict[str, str] | None:
    """Return the stored attributes of a message; `None` if another program wrote something else there."""
    if not text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None
    return (
        found if isinstance(found, dict) and all(isinstance(value, str) for value in found.values()) else None
    )


class ConsumerDriver(ABC):
    """One consumer of one group. Used by one receiving thread; `ack`, `nack` and `extend` may come from others.

    The temporary group of a consumer that was taken for dead is dropped with its messages. If the consumer is alive
    after all, it must never see, settle or drop messages of another: for those that it received before, `extend`
    returns `False` and `ack`, `nack` and `release` do nothing. Its next `receive` joins again, as a new consumer, and
    counts that in `rejoins`.

    Attributes:
        silence_s: For how many seconds it may neither receive nor extend before it may be taken for dead; infinite
            unless its group is temporary.
        rejoins: How often its group was dropped and it joined again. It has missed messages published in between.
    """

    silence_s: float = math.inf
    rejoins: int = 0

    @abstractmethod
    def receive(self, max_messages: int, timeout_s: float) -> list[Delivery]:
        """Return 1 to *max_messages* messages, or none after *timeout_s* (0: only messages that are ready now).

        Must return as soon as there is one; must not wait to fill the batch. Each returned message is leased to
        this consumer. Must be woken by `close`, and then leave nothing leased.
        """

    @abstractmethod
    def ack(self, receipts: Sequence[object]) -> None:
        """Remove the messages for this group, on disk where the engine can.

        A receipt whose lease has ended is ignored: the message is redelivered, which at-least-once allows.
        """

    @abstractmethod
    def nack(self, receipts: Sequence[object], delay_s: float) -> None:
        """Reject the messages: any consumer of the group gets them after *delay_s*, with one more delivery counted."""

    @abstractmethod
    def release(self, receipts: Sequence[object]) -> None:
        """Release the messages as if never received: at once and, where the engine can, not counted."""

    @abstractmethod
    def extend(self, receipts: Sequence[object]) -> list[bool]:
        """Restart the lease of each from now; `False` in the places of those that were lost.

        Also without receipts it is a sign of life, for a consumer that holds nothing and has no room to receive.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the leased messages, end a waiting `receive`, and drop a temporary group.

        A second `close` does nothing.
        """


class PubSubDriver(Driver[SettingsT]):
    """Topics and groups are created by use. A group receives messages that are published after it exists.

    The group must exist when `consume` returns, so that "subscribe, then publish" never loses a message. A topic
    without any group keeps its messages for the first group: a queue may be filled before its workers
    start. A temporary group is not that first one: it does not touch kept messages.
    """

    @property
    def limits(self) -> PubSubLimits:
        """The most that the engine accepts. Read once, before anything is opened."""
        return PubSubLimits()

    @abstractmethod
    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        """Store all messages, in order; `None` in the places of those stored, else the error.

        Must return only when the messages are as durable as the settings promise. Must raise, rather than return,
        an error that concerns the whole batch. `AlreadyExistsError` stands for a message that was not stored because of
        its `once_s`; whether it is stored *must* be decided together with storing it, so that no crash comes between.
        """

    @abstractmethod
    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        """Join *group* on *topic*, making both if need be.

        Args:
            lease_s: Seconds for which a received message stays hidden from the others, 1 to 43,200.
            temporary: The group is this consumer's own and ends with it, also if it is killed (broadcast). A
                consumer that neither receives nor extends for its `silence_s`, a minute unless the settings name
                another time, may be taken for dead. Never given to a driver that leaves BROADCAST to the core.
        """

    @abstractmethod
    def depth(self, topic: str, group: str) -> int:
        """Return how many messages wait for *group*, leased and delayed ones included.

        For a group that does not exist: how many it would find if it were created now.
        """

    @abstractmethod
    def purge(self, topic: str) -> int:
        """Remove all waiting messages of *topic*, for every group, and return their number."""

    def in_layout(self, layout: str, options: Mapping[str, Any]) -> PubSubDriver[Any]:
        """Return a driver of the queues of another program, in the *layout* of that program, on the same connections.

        It is for fleets of which a part is still that program, and there to receive. A topic is a queue, which has one
        group. A message *must* be in the queue or held by somebody at each moment, and a holder of that program *must*
        keep what it holds for as long as the program itself would let it. What is published, such as a dead letter,
        goes to the topics of this driver. Its `close` and `forget` leave the connections to this driver.

        With `-backlog` behind the program, it is for a move of all that waits in these queues to another engine: also
        what is not due yet is received at once. A message that was received and is neither acknowledged nor
        released *must* stay out of the reach of that program, also after a kill, until the next consumer of the queue
        receives it. There is one consumer of a queue at a time: a later one is refused with `UnavailableError`, or
        takes the place of the one before, whose calls raise `ConflictError` from then on. A message that comes again
        has the same id, or is known by its bytes. `inspect` counts as `in_flight` what workers hold, and `consumers`
        are workers.

        Args:
            layout: The program, such as `celery`, or its backlog, such as `celery-backlog`.
            options: Settings of that program which change its layout.

        Raises:
            UnsupportedError: The engine has no such queues.
            SettingsError: One of *options* has a value that cannot be.
        """
        del options
        raise UnsupportedError(
            f"{title_of(type(self))} as it is configured cannot serve queues in the layout of {layout!r}. "
            "Available: celery, on one Redis server."
        )

    def topics(self) -> Iterator[str]:
        """Yield the name of each topic once, in no order. INSPECT.

        It *must not* hold a lock or a connection between two names, nor all names of the engine at once where the
        engine can page.
        """
        raise NotImplementedError

    def inspect(self, topic: str) -> TopicStatus:
        """Return the groups of *topic* by name; none if the topic does not exist. INSPECT."""
        raise NotImplementedError

    def peek(self, topic: str, group: str, most: int, *, after: str, max_bytes: int) -> list[PeekedMessage]:
        """Return up to *most* of the messages that `depth` counts, without leasing or counting them. INSPECT.

        In a stable order, which need not be that of delivery. Fewer than *most* means that there are no more.

        Args:
            after: The position of the last message of the call before, or `""` to begin.
            max_bytes: Return at most so much of a body. It *must not* be read whole into this process to be cut where
                the engine can cut it.
        """
        raise NotImplementedError

    def purge_group(self, topic: str, group: str) -> int:
        """Remove all waiting messages of *group* alone, leased ones included, and return their number. PURGE_GROUP.

        Other groups keep theirs. A delayed message that another group will receive too may stay.
        """
        raise NotImplementedError
