"""Consumers of RabbitMQ pub/sub: members of a group, and listeners of a broadcast."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pika import exceptions

from capa_core.blocks.pubsub.driver import ConsumerDriver, Delivery
from capa_core.components.rabbitmq import _messages
from capa_core.components.rabbitmq._errors import is_gone
from capa_core.components.rabbitmq._messages import Pulled
from capa_core.components.rabbitmq._names import Names
from capa_core.components.rabbitmq._publisher import Outgoing
from capa_core.components.rabbitmq._puller import Puller
from capa_core.errors import CapaError, NotFoundError

if TYPE_CHECKING:
    from capa_core.components.rabbitmq.pubsub import RabbitPubSub

_ADOPTED_AT_ONCE = 500
_ADOPT_AGAIN_S = 1.0
"""A message that was routed just before a group joined may reach `kept` just after that was emptied."""


class Member(ConsumerDriver):
    """One consumer of the queue of a group."""

    def __init__(self, driver: RabbitPubSub, names: Names, group: str, lease_s: float) -> None:
        self._driver = driver
        self._names = names
        self._group = group
        self._receiving = threading.Lock()
        self._closed = False
        self._puller = Puller(driver.connections.consuming, self._join, lease_s, self._give_back)
        self._adopt_until = 0.0
        self.queue = self._make()
        driver.publisher.prepare()
        self._adopt()

    @property
    def moves(self) -> int:
        """Odd while messages are on their way back to the queue; see `Puller.moves`."""
        return self._puller.moves

    def ready(self) -> int | None:
        """Return how many messages are ready in its queue; `None` if that is gone."""
        return self._driver.topology.count(self.queue)

    def receive(self, max_messages: int, timeout_s: float) -> list[Delivery]:
        """See `ConsumerDriver.receive`."""
        end = time.monotonic() + timeout_s
        with self._receiving:
            while not self._closed:
                if self._adopt_until:
                    self._adopt()
                left_s = max(0.0, end - time.monotonic())
                if pulled := self._pull(max_messages, min(left_s, self._until_adoption_s())):
                    self._number(pulled)
                    return [
                        _messages.delivery(each.properties, each.body, each, each.deliveries)
                        for each in pulled
                    ]
                if timeout_s and self.ready() != 0:
                    self._puller.leave()  # its place on the queue is worth nothing: it was made anew meanwhile
                if time.monotonic() >= end:
                    break
        return []

    def ack(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.ack`."""
        self._puller.ack(self._puller.take(receipts))

    def nack(self, receipts: Sequence[object], delay_s: float) -> None:
        """See `ConsumerDriver.nack`."""
        self._return(self._puller.take(receipts), delay_s, spent=1)

    def release(self, receipts: Sequence[object]) -> None:
        """See `ConsumerDriver.release`."""
        self._return(self._puller.take(receipts), 0.0, spent=0)

    def extend(self, receipts: Sequence[object]) -> list[bool]:
        """See `ConsumerDriver.extend`."""
        return self._puller.extend(receipts)

    def close(self) -> None:
        """See `ConsumerDriver.close`."""
        if self._closed:
            return
        self._closed = True
        self._puller.stop()
        with self._receiving:
            try:
                self._puller.leave()
                self._leave()
            finally:
                self._puller.close()

    def ours(self) -> tuple[list[Pulled], list[Pulled]]:
        """Return the messages that it holds, and those that have come to it unasked."""
        self._puller.flush()
        return self._puller.ours()

    def drop_held(self) -> int:
        """Remove the messages that it holds, and return their number."""
        taken = self._puller.take_all()
        self._puller.ack(taken)
        return len(taken)

    def _pull(self, most: int, timeout_s: float) -> list[Pulled]:
        try:
            return self._puller.receive(most, timeout_s)
        except exceptions.ChannelClosedByBroker as error:
            if not is_gone(error):
                raise
        self._join()
        return []

    def _number(self, pulled: Sequence[Pulled]) -> None:
        """Note how often each was delivered, this time included; the looks at it, which the broker counts, are not."""
        counted = any(_messages.returns(each.properties) for each in pulled)
        looks = self._driver.topology.peeks(self._names, self.queue) if counted else {}
        for each in pulled:
            each.deliveries = _messages.deliveries(each.properties, looks)

    def _until_adoption_s(self) -> float:
        """Return for how long it may wait before it looks for kept messages again."""
        return max(0.0, self._adopt_until - time.monotonic()) if self._adopt_until else math.inf

    def _make(self) -> str:
        queue = self._driver.topology.group(self._names, self._group)
        self._adopt_until = time.monotonic() + _ADOPT_AGAIN_S
        return queue

    def _join(self) -> str:
        """Have the queue for a new channel; it is gone if an operator deleted it, or the broker lost it."""
        if self.ready() is None:
            self._puller.renew()  # before the queue is made again: see there
            self._driver.topology.forget()
            self.rejoins += 1
            self._make()
        return self.queue

    def _leave(self) -> None:
        self._return(self._puller.take_all(), 0.0, spent=0)

    def _adopt(self) -> None:
        """Move messages that wait for the first group; until there are none, some with each call."""
        if self._driver.topology.count(self._names.kept):
            kept = Puller(self._driver.connections.consuming, lambda: self._names.kept, math.inf)
            try:
                kept.receive(_ADOPTED_AT_ONCE, 0)
                kept.leave()
                held, unseen = kept.ours()
                pulled = [*held, *unseen]
                self._publish([partial(self._copy, each, 0) for each in pulled])
                kept.ack(kept.take_all())
            finally:
                kept.close()
        elif time.monotonic() > self._adopt_until:
            self._adopt_until = 0.0

    # --- messages that come again

    def _return(self, taken: Sequence[Pulled], delay_s: float, *, spent: int) -> None:
        """Publish copies of *taken* to the queue, then acknowledge *taken*."""
        try:
            self._publish([partial(self._later, each, spent, delay_s) for each in taken])
        except BaseException:
            self._puller.requeue(taken)  # else they would stay hidden until the channel closes
            raise
        self._puller.ack(taken)

    def _give_back(self, unseen: list[Pulled]) -> None:
        """Give back messages that nobody has seen, by copies; see `Puller`."""
        before = [_messages.deliveries(each.properties, {}) - 1 for each in unseen]
        copies = [self._copy(each, count) for each, count in zip(unseen, before, strict=True)]
        self._driver.publisher.publish_soon(
            copies, lambda are_stored: self._puller.end_return(unseen, are_stored=are_stored)
        )

    def _later(self, pulled: Pulled, spent: int, delay_s: float) -> Outgoing:
        copy = self._copy(pulled, pulled.deliveries - 1 + spent)
        return self._driver.publish_later(self._names, self.queue, copy, delay_s) if delay_s else copy

    def _copy(self, pulled: Pulled, deliveries: int) -> Outgoing:
        return Outgoing("", self.queue, pulled.body, _messages.again(pulled.properties, deliveries))

    def _publish(self, messages: Sequence[Callable[[], Outgoing]]) -> None:
        errors = self._sent(messages)
        if any(isinstance(error, NotFoundError) for error in errors):
            self._join()  # the queue is gone
            lost = [each for each, error in zip(messages, errors, strict=True) if error is not None]
            errors = self._sent(lost)
        for error in errors:
            if error is not None:
                raise error

    def _sent(self, messages: Sequence[Callable[[], Outgoing]]) -> list[CapaError | None]:
        try:
            return self._driver.send(self._names, messages) if messages else []
        except exceptions.ChannelClosedByBroker as refusal:
            if not is_gone(refusal):
                raise
            # Nothing was sent: a part of their way cannot be made without the queue.
            return [NotFoundError(refusal.reply_text)] * len(messages)


class Listener(Member):
    """One consumer of a broadcast. The broker drops its queue with the connection, as when its process is killed."""

    def ready(self) -> int | None:
        """See `Member.ready`: other connections may not even count them."""
        return self._driver.listeners.count(self.queue)

    def _make(self) -> str:
        return self._driver.listeners.listener(self._names, self._group)

    def _leave(self) -> None:
        self._puller.take_all()
        self._driver.listeners.delete(self.queue)

    def _adopt(self) -> None:
        """Take nothing that waits for the first group."""
