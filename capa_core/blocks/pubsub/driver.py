"""The contract of pub/sub drivers: publish in batches, and let consumers pull in batches.

Push engines buffer behind `receive`. Batches give throughput; leases bring the messages of a killed consumer back
within seconds.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from capa_core.abilities import Feature, Level
from capa_core.blocks.pubsub.inspection import PeekedMessage, TopicStatus
from capa_core.driver import Driver, SettingsT
from capa_core.errors import CapaError

LONGEST_NAME = 255
LONGEST_LEASE_S = 43_200.0


class PubSubFeature(Feature):
    """Abilities of pub/sub."""

    GROUPS = ("groups", Level.ALWAYS)
    """Consumers of one group compete; each group sees each message."""
    LEASE = ("lease", Level.ALWAYS)
    """A message whose consumer died comes back after the lease, with a higher delivery count."""
    NACK_DELAY = ("nack_delay", Level.ALWAYS)
    """A message can be handed back to come again after a given time."""
    DELAY = ("delay", Level.ALWAYS)
    """A message can be published to become visible later."""
    TTL = ("ttl", Level.ALWAYS)
    """A message that is not received in time goes away."""
    DEAD_LETTER = ("dead_letter", Level.ALWAYS)
    """After N deliveries a message moves to another topic. The core does it; declare it so."""
    BULK = ("bulk", Level.ALWAYS)
    """Many messages are published in one trip to the engine."""
    BROADCAST = ("broadcast", Level.ALWAYS)
    """A consumer can have a group of its own that goes away with it."""
    PRIORITY = ("priority", Level.COMMON)
    """Messages with a higher priority are received first, as far as they wait."""
    ORDER_BY_KEY = ("order_by_key", Level.SOME)
    """Messages with one key are received in the order of publishing, one at a time."""
    SHARED = ("shared", Level.COMMON)
    """Several processes publish to and receive from the same topics."""
    DURABLE = ("durable", Level.COMMON)
    """A published message survives a crash of the process and of the machine."""
    INSPECT = ("inspect", Level.COMMON)
    """Topics, groups and waiting messages can be listed and looked at, and one group's messages removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PubSubLimits:
    """The most that a component takes; `None` where no limit is known.

    Attributes:
        max_name_length: In characters, of topics and groups; the same on every component.
        max_message_bytes: Of one body, its envelope included.
        max_delay_s: The longest delay.
        max_batch: Messages in one trip to the engine; the core makes several trips for more.
        max_lease_s: The longest lease.
    """

    max_name_length: int = LONGEST_NAME
    max_message_bytes: int | None = None
    max_delay_s: int | None = None
    max_batch: int | None = None
    max_lease_s: float = LONGEST_LEASE_S


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message on its way to the engine.

    Attributes:
        id: Unique within the topic; engines that deduplicate do it by this.
        data: The body, at most what the engine holds (ask its limits).
        attributes: ASCII names to text values; they travel beside the body.
        key: For `ORDER_BY_KEY`, else `""`.
        priority: 0 (normal) to 9 (most urgent).
        delay_s: Seconds until it becomes visible; 0 for now.
        ttl_s: Seconds until it goes away if nobody received it; `None` for never.
    """

    id: str
    data: bytes
    content_type: str = "application/octet-stream"
    attributes: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    priority: int = 0
    delay_s: float = 0.0
    ttl_s: float | None = None


@dataclass(slots=True)
class Delivery:
    """A message as one consumer received it.

    Attributes:
        receipt: The engine's handle for `ack`, `nack` and `extend`; opaque, good for this delivery only.
        delivery_count: 1 the first time; approximate where the engine only says "again".
        published_at: Seconds since the epoch, by the engine's or publisher's clock; 0 when unknown.
        reason: Why handling it failed; the core notes it for the dead letter, a driver leaves it.
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


class ConsumerDriver(ABC):
    """One consumer of one group. Used by one receiving thread; `ack`, `nack` and `extend` may come from others.

    The temporary group of a consumer that was taken for dead goes away with its messages. A consumer that lives after
    all must never see, settle or drop what belongs to another: for what it received before, `extend` returns `False`
    and `ack`, `nack` and `release` do nothing. Its next `receive` joins anew, as a consumer that comes now, and counts
    that in `rejoins`.

    Attributes:
        silence_s: For how many seconds it may neither receive nor extend before it may be taken for dead; infinite
            unless its group is temporary.
        rejoins: How often its group was gone and it joined anew. It has missed what was published in between.
    """

    silence_s: float = math.inf
    rejoins: int = 0

    @abstractmethod
    def receive(self, max_messages: int, timeout_s: float) -> list[Delivery]:
        """Return 1 to *max_messages* messages, or none after *timeout_s* (0: only what is ready now).

        Must return as soon as there is one; must not wait to fill the batch. Each returned message is leased to
        this consumer. Must be woken by `close`, and then leave nothing leased.
        """

    @abstractmethod
    def ack(self, receipts: Sequence[object]) -> None:
        """Remove the messages for this group, on disk where the engine can.

        A receipt whose lease ran out is passed over in silence: the message comes again, which at-least-once allows.
        """

    @abstractmethod
    def nack(self, receipts: Sequence[object], delay_s: float) -> None:
        """Hand the messages back; they come again, to any consumer of the group, after *delay_s*, counted once more."""

    @abstractmethod
    def release(self, receipts: Sequence[object]) -> None:
        """Hand the messages back as if never received: at once and, where the engine can, not counted."""

    @abstractmethod
    def extend(self, receipts: Sequence[object]) -> list[bool]:
        """Start the lease of each anew from now; `False` in the places of those that were lost.

        Also without receipts it is a sign of life, for a consumer that holds nothing and has no room to receive.
        """

    @abstractmethod
    def close(self) -> None:
        """Hand back what is leased and not acknowledged, end a waiting `receive`, and drop a group of its own.

        A second `close` does nothing.
        """


class PubSubDriver(Driver[SettingsT]):
    """Topics and groups come into being by use. A group sees what is published after it exists.

    The group must exist when `consume` returns, so that "subscribe, then publish" never loses a message. A topic
    without any group keeps its messages for the first group that comes: a queue may be filled before its workers
    start. A temporary group is not that first one: it leaves what is kept alone.
    """

    @property
    def limits(self) -> PubSubLimits:
        """The most that the engine takes. Read once, before anything is opened."""
        return PubSubLimits()

    @abstractmethod
    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        """Store all messages, in order; `None` in the places of those stored, else the error.

        Must return only when the messages are as durable as the settings promise. Must raise, rather than return,
        an error that concerns the whole batch.
        """

    @abstractmethod
    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        """Join *group* on *topic*, making both if need be.

        Args:
            lease_s: Seconds for which a received message stays hidden from the others, 1 to 43,200.
            temporary: The group is this consumer's own and goes away with it, also if it is killed (broadcast). A
                consumer that neither receives nor extends for its `silence_s`, a minute unless the settings name
                another time, may be taken for dead. Never given to a driver that leaves BROADCAST to the core.
        """

    @abstractmethod
    def depth(self, topic: str, group: str) -> int:
        """Return how many messages wait for *group*, leased and delayed ones included.

        For a group that does not exist: how many it would find if it came now.
        """

    @abstractmethod
    def purge(self, topic: str) -> int:
        """Remove all that waits in *topic*, for every group, and return how many messages there were."""

    def topics(self) -> Iterator[str]:
        """Yield the name of each topic once, in no order. INSPECT.

        It *must not* hold a lock or a connection between two names, nor all names of the engine at once where the
        engine can page.
        """
        raise NotImplementedError

    def inspect(self, topic: str) -> TopicStatus:
        """Return the groups of *topic* by name; one without any if there is no such topic. INSPECT."""
        raise NotImplementedError

    def peek(self, topic: str, group: str, most: int, *, after: str, max_bytes: int) -> list[PeekedMessage]:
        """Return up to *most* of the messages that `depth` counts, without leasing or counting them. INSPECT.

        In an order that stays, which need not be that of delivery. Fewer than *most* means that there are no more.

        Args:
            after: The position of the last message of the call before, or `""` to begin.
            max_bytes: Return at most so much of a body. It *must not* be read whole into this process to be cut.
        """
        raise NotImplementedError

    def purge_group(self, topic: str, group: str) -> int:
        """Remove all that waits for *group* alone, leased messages included, and return how many it was. INSPECT.

        Other groups keep theirs. A delayed message that another group will receive too may stay.
        """
        raise NotImplementedError
