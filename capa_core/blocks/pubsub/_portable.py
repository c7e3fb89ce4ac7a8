"""Publish and subscribe: the portable type over any pub/sub driver."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from datetime import timedelta
from typing import Any
from weakref import WeakSet

from capa_core.blocks.pubsub._checks import Delays, check_lease, check_name
from capa_core.blocks.pubsub._compensation import DeadLetters, DeadLetterTopic, compensated, in_batches
from capa_core.blocks.pubsub._compose import Composer, new_id
from capa_core.blocks.pubsub._consumer import Consumer
from capa_core.blocks.pubsub._inspected import Inspected
from capa_core.blocks.pubsub._intake import Intake
from capa_core.blocks.pubsub._leases import OnLost, WorkedOn
from capa_core.blocks.pubsub._message import Draft, PublishResult
from capa_core.blocks.pubsub._subscription import Handler, Subscription
from capa_core.blocks.pubsub.driver import OutgoingMessage, PubSubDriver, PubSubFeature, PubSubLimits
from capa_core.call import DEFAULT_POLICY, Policy, telemetry
from capa_core.call.checks import check_count
from capa_core.call.conventions import MESSAGING, SENT_MESSAGES
from capa_core.call.handlers import check_plain
from capa_core.call.traits import call_traits
from capa_core.engine import system_of
from capa_core.errors import AlreadyExistsError, CapaError, InvalidArgumentError

LEASE_S = 30.0
_DEFAULT_GROUP = "default"
_UNTRACED = nullcontext()


class PubSub(Inspected):
    """Topics of one component. Safe for many threads.

    Delivery is at least once: a published message is never lost, and may come twice where something failed in
    between. Retries, here and by the caller, can only cause duplicates. Handlers must tolerate them; the id of
    a message is the same each time.
    """

    _convention = MESSAGING

    def __init__(
        self, driver: PubSubDriver[Any], *, name: str = "default", policy: Policy = DEFAULT_POLICY
    ) -> None:
        super().__init__("pubsub", driver, name, policy)
        self._driver = compensated(driver)
        self._features = self._driver.features
        self._limits = driver.limits
        self._delays = Delays(name, self._limits)
        self._composer = Composer(driver, name, self._delays)
        self._driver_type = type(driver)
        self._topics: set[str] = set()
        # Weak: a consumer without references is not a leak; a subscription is kept alive by its threads.
        self._open: WeakSet[Consumer | Intake | Subscription | PubSub] = WeakSet()

    @property
    def limits(self) -> PubSubLimits:
        """The most that the component accepts; larger arguments are refused before they are sent."""
        return self._limits

    def publish(
        self,
        topic: str,
        data: Any,
        *,
        content_type: str | None = None,
        attributes: Mapping[str, str] | None = None,
        key: str = "",
        priority: int = 0,
        delay: timedelta | float = 0.0,
        ttl: timedelta | float | None = None,
        id: str | None = None,  # noqa: A002 - its name in CloudEvents
        once_within: timedelta | float = 0.0,
        raw: bool = False,
    ) -> str:
        """Publish one message and return its id. When this returns, it is as durable as the component can make it.

        Args:
            topic: 1 to 255 printable characters; it comes into being by use.
            data: Bytes and text go as they are, anything else as JSON.
            content_type: `None` for the one that fits the type of *data*.
            attributes: Text beside the body. Inside the envelope: `type`, `source`, `subject` and extensions of
                CloudEvents. With *raw*: any ASCII names.
            key: Messages with one key are received in order, one at a time; needs ORDER_BY_KEY.
            priority: 0 (normal) to 9 (most urgent); needs PRIORITY.
            delay: How long it stays invisible.
            ttl: How long it waits to be received before it is dropped.
            id: `None` for a new one.
            once_within: For how long no further message with this *id* is stored in the topic, though it is published
                again, even if this one was received or purged meanwhile. Needs a `max_once_s` above 0 in `limits`.
            raw: Send body and attributes as they are, rather than as a CloudEvent.

        Raises:
            InvalidArgumentError: An argument is outside these. Nothing was published.
            UnsupportedError: The component cannot order by key, has no priorities, or does not know ids again. Nothing
                was published.
            ExhaustedError: A disk or quota is full. Nothing was published.
            UnavailableError: The engine did not answer. The message may or may not be published.

        Retries: safe; a repeat may publish it twice, with the same id, unless *once_within* says otherwise.
        """
        if topic not in self._topics:
            self._learn(topic)
        ident = id or new_id()
        with self._sending(topic, ident, 1) as span:
            message = self._composer.compose(
                ident, data, content_type, attributes, raw=raw, traced=span is not None
            )
            if key or priority or delay or ttl is not None or once_within:
                message = self._composer.extend(
                    message, key=key, priority=priority, delay=delay, ttl=ttl, once_within=once_within
                )
            self._guard.safe("publish", self._publish_one, topic, message)
        return ident

    def publish_many(
        self, topic: str, messages: Sequence[Draft | Any], *, raw: bool = False
    ) -> list[PublishResult]:
        """Publish several messages, in one request where the engine can, and return the result of each, in order.

        Args:
            messages: Each a `Draft`, or data as for `publish`.

        Raises:
            InvalidArgumentError: One of them is unusable. Nothing was published.
            UnsupportedError: As for `publish`. Nothing was published.
            UnavailableError: The engine did not answer. Any of them may be published.

        Retries: safe for the whole batch, as for `publish`; the failures of single messages are the caller's.
        """
        if topic not in self._topics:
            self._learn(topic)
        drafts = list(messages)
        with self._sending(topic, len(drafts), len(drafts)) as span:
            outgoing = [self._composer.drafted(draft, raw=raw, traced=span is not None) for draft in drafts]
            errors = self._publish_all(topic, outgoing)
        return [_result(message.id, error) for message, error in zip(outgoing, errors, strict=True)]

    @call_traits(opens=True, handler="handler")
    def subscribe(
        self,
        topic: str,
        handler: Handler,
        *,
        group: str = "default",
        max_messages: int = 32,
        concurrency: int = 1,
        lease: timedelta | float = LEASE_S,
        max_deliveries: int | None = None,
        retry_delay: timedelta | float = 1.0,
        raw: bool = False,
        broadcast: bool = False,
    ) -> Subscription:
        """Call *handler* with each message, on threads of its own, until the subscription is closed.

        The message is acknowledged when *handler* returns, and rejected when it raises. While it runs, however
        long, its lease is renewed. Messages published after `subscribe` returned are received.

        Args:
            handler: Takes one `Message`; `def` or `async def` (those share one event loop).
            group: Subscribers of one group compete; each group sees each message.
            max_messages: How many messages it may hold at once, those waiting for a free handler included.
            concurrency: How many handlers run at once.
            lease: Time after which the messages of a killed process are redelivered: 1 s to 12 h.
            max_deliveries: After so many, a message moves to the topic `<topic>.dead`; `None` for never.
            retry_delay: Time until a message is redelivered after its first failure; doubles each time, up to a minute
                and to the component's `max_delay_s`.
            raw: Pass bodies as they were stored, rather than out of their CloudEvent.
            broadcast: Join a group of its own, which ends with the subscription; not together with *group*.

        Raises:
            InvalidArgumentError: An argument is outside these.
            UnavailableError: The engine did not answer.
        """
        if not callable(handler):
            raise InvalidArgumentError(
                f"handler {handler!r} cannot be called: give a function of one message"
            )
        check_count("concurrency", concurrency)
        check_count("max_messages", max_messages)
        retry_delay_s = self._delays.seconds("retry_delay", retry_delay)
        lease_s = check_lease(lease, self._limits.max_lease_s)
        consumer = self._join(topic, group, lease_s, max_deliveries, raw=raw, broadcast=broadcast)
        subscription = Subscription(
            consumer,
            handler,
            max_messages=max(max_messages, concurrency),
            concurrency=concurrency,
            delays=self._delays,
            lease_s=lease_s,
            retry_delay_s=retry_delay_s,
            span=self._span_of(topic) | {"messaging.consumer.group.name": consumer.group},
            log=telemetry.logger("pubsub", self.name),
        )
        self._open.add(subscription)
        return subscription

    @call_traits(opens=True)
    def consumer(
        self,
        topic: str,
        group: str = "default",
        *,
        lease: timedelta | float = LEASE_S,
        raw: bool = False,
        max_deliveries: int | None = None,
        broadcast: bool = False,
    ) -> Consumer:
        """Join a group to pull messages; the arguments are those of `subscribe`.

        The group exists when this returns: messages published from then on are received.

        Raises:
            InvalidArgumentError: An argument is outside the range that `subscribe` allows.
            UnavailableError: The engine did not answer.
        """
        lease_s = check_lease(lease, self._limits.max_lease_s)
        consumer = self._join(topic, group, lease_s, max_deliveries, raw=raw, broadcast=broadcast)
        self._open.add(consumer)
        return consumer

    @call_traits(opens=True)
    def intake(
        self,
        topic: str,
        group: str = "default",
        *,
        lease: timedelta | float = LEASE_S,
        raw: bool = False,
        max_deliveries: int | None = None,
        broadcast: bool = False,
        worked_on: WorkedOn | None = None,
        on_lost: OnLost | None = None,
    ) -> Intake:
        """Join a group to receive messages that stay leased while they are worked on; for workers without a handler.

        The group exists when this returns: messages published from then on are received. The arguments are those of
        `subscribe`, and:

        Args:
            worked_on: Given the messages that are held, returns those that are worked on or will be. Only their leases
                are renewed; the others are redelivered after theirs. It is called at each renewal, in a thread
                of the intake; it may settle messages and must not wait. If it raises, no lease is renewed; if it
                returns something else, that is logged and all are renewed. `None` stands for all held messages.
            on_lost: Called with messages whose leases were lost: another consumer may have them. In a thread of the
                intake, or in the one that settles them; it must not close the intake.

        Raises:
            InvalidArgumentError: An argument is outside the range that `subscribe` allows.
            UnavailableError: The engine did not answer.
        """
        for name, function in (("worked_on", worked_on), ("on_lost", on_lost)):
            if function is not None:
                check_plain(name, function)
        lease_s = check_lease(lease, self._limits.max_lease_s)
        consumer = self._join(topic, group, lease_s, max_deliveries, raw=raw, broadcast=broadcast)
        log = telemetry.logger("pubsub", self.name)
        intake = Intake(
            consumer, delays=self._delays, lease_s=lease_s, log=log, worked_on=worked_on, on_lost=on_lost
        )
        self._open.add(intake)
        return intake

    def depth(self, topic: str, group: str = "default") -> int:
        """Return how many messages wait for *group*, leased and delayed ones included.

        For a group that does not exist yet: how many it would find.

        Raises:
            UnavailableError: The engine did not answer.
        """
        return self._guard.safe(
            "depth", self._driver.depth, check_name("topic", topic), check_name("group", group)
        )

    def purge(self, topic: str, group: str | None = None) -> int:
        """Remove all waiting messages of *topic*, for every group or *group* alone, and return their number.

        Args:
            group: Other groups keep their messages. Delayed ones, which are not in groups yet, stay if the
                engine stores them once for all groups.

        Raises:
            UnsupportedError: *group* is given, and the component has no PURGE_GROUP.
            UnavailableError: The engine did not answer. Any of the messages may be removed.
        """
        check_name("topic", topic)
        if group is None:
            return self._guard.once("purge", self._driver.purge, topic)
        self._require(PubSubFeature.PURGE_GROUP)
        return self._guard.once("purge", self._driver.purge_group, topic, check_name("group", group))

    def stop(self) -> None:
        """Receive no more; received messages are still worked on. The runtime calls it before it closes anything."""
        for user in list(self._open):
            if not isinstance(user, Consumer):
                user.stop()

    def drain(self, timeout_s: float) -> None:
        """Close all subscriptions; abandon handlers that run longer than *timeout_s*: their messages come again."""
        end = time.monotonic() + timeout_s
        for subscription in self._subscriptions():
            subscription.close(timeout_s=max(0.0, end - time.monotonic()))

    def close(self) -> None:
        """Stop and drain all subscriptions and consumers, then release the engine. A second `close` does nothing."""
        with ExitStack() as steps:  # from the last to the first, each even if others fail
            steps.callback(super().close)
            for user in list(self._open):
                steps.callback(user.close)

    def forget(self) -> None:
        """Drop the state that a fork copied into this child; subscriptions and consumers stay with the parent."""
        self._open = WeakSet()
        super().forget()

    def _in_layout(self, layout: str, options: Mapping[str, Any]) -> PubSub:
        driver = self._guard.once("in_layout", self._driver.in_layout, layout, options)
        other = PubSub(driver, name=self.name, policy=self._guard.policy)
        self._open.add(other)
        return other

    def _subscriptions(self) -> list[Subscription]:
        return [user for user in self._open if isinstance(user, Subscription)]

    def _join(
        self,
        topic: str,
        group: str,
        lease_s: float,
        max_deliveries: int | None,
        *,
        raw: bool,
        broadcast: bool,
    ) -> Consumer:
        check_name("topic", topic)
        check_name("group", group)
        if max_deliveries is not None:
            check_count("max_deliveries", max_deliveries)
        if broadcast:
            if group != _DEFAULT_GROUP:
                raise InvalidArgumentError(
                    f"group {group!r} and broadcast are both given, but a broadcast has a group of its own. "
                    "Give one of them."
                )
            group = f"{group}.{new_id()}"
        driver = self._guard.safe(
            "consume", self._driver.consume, topic, group, lease_s=lease_s, temporary=broadcast
        )
        dead_letters = DeadLetterTopic(self._driver, topic, group)
        if max_deliveries is not None:
            driver = DeadLetters(driver, dead_letters, max_deliveries)
        return Consumer(
            self._guard,
            driver,
            dead_letters,
            self._delays,
            topic=topic,
            group=group,
            lease_s=lease_s,
            raw=raw,
        )

    def _learn(self, topic: str) -> None:
        check_name("topic", topic)
        if len(self._topics) >= 10_000:  # names made up at run time, such as one topic for each reply
            self._topics.clear()
        self._topics.add(topic)

    def _publish_one(self, topic: str, message: OutgoingMessage) -> None:
        (error,) = self._driver.publish(topic, (message,))
        if error is not None and not isinstance(error, AlreadyExistsError):
            raise error

    def _publish_all(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        if not messages:
            return []
        return [
            error
            for batch in in_batches(messages, self._limits.max_batch)
            for error in self._guard.safe("publish", self._driver.publish, topic, batch)
        ]

    def _sending(self, topic: str, subject: str | int, number: int) -> AbstractContextManager[object]:
        """Return the span of sending *subject*, an id or a number of messages; a null context if untraced."""
        return self._observed_sending(topic, subject, number) if telemetry.observing() else _UNTRACED

    @contextmanager
    def _observed_sending(self, topic: str, subject: str | int, number: int) -> Iterator[object]:
        name = "messaging.message.id" if isinstance(subject, str) else "messaging.batch.message_count"
        attributes = self._span_of(topic)
        with (
            telemetry.counted(SENT_MESSAGES, {**attributes, "messaging.operation.name": "send"}, number),
            telemetry.span(f"send {topic}", attributes | {name: subject}, kind="PRODUCER") as span,
        ):
            yield span

    def _span_of(self, topic: str) -> dict[str, Any]:
        """Return attributes by OpenTelemetry's semantic conventions for messaging."""
        return {
            "messaging.system": system_of(self._driver_type),
            "messaging.destination.name": topic,
            "capa.component": self.name,
        }


def _result(ident: str, error: CapaError | None) -> PublishResult:
    if isinstance(error, AlreadyExistsError):
        return PublishResult(ident, duplicate=True)
    return PublishResult(ident, error)
