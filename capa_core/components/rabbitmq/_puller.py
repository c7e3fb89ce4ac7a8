"""Messages of one queue, pulled: the broker is asked for as many as the caller wants, and leases are kept here.

AMQP pushes, and has no leases: what was delivered stays with its channel. A consumer is on the queue with a window of
what was asked for, and stays for a moment after `receive` has returned: what is sent to a consumer that is just leaving
counts as a delivery of a quorum queue, and joining is a write to its disk. If nobody receives again soon, the consumer
leaves, and what came unasked is given back. A lease that is not extended ends by the timer of the connection's thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

import pika
from pika import exceptions

from capa_core.clocks import boot_time
from capa_core.components.rabbitmq._connection import Channel, Connection
from capa_core.components.rabbitmq._errors import NOT_FOUND
from capa_core.components.rabbitmq._leaving import cancel, clean_up
from capa_core.components.rabbitmq._messages import Pulled
from capa_core.components.rabbitmq._windows import Windows

_LARGEST_WINDOW = 2_000
_LOOK_EVERY_S = 0.1
_SUSPENDED_S = 1.0
"""After a look that came so late the process may have been suspended, and the broker may have given it up."""
_RETURNED_WITHIN_S = 5.0
_MOST_CONSUMERS = 16
_NEARLY = 8
"""Room for all but one in so many of the messages that are asked for is enough."""
_LATE_S = 5.0  # by then, all that was sent to a consumer before it left has come


class Puller:
    """The deliveries of one queue over one channel. For one receiving thread; others may settle.

    Args:
        join: Makes sure that the queue is there, and returns its name; called for each new channel.
        give_back: Gives back messages that nobody has seen, so that they are not counted. For the connection's thread.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        join: Callable[[], str],
        lease_s: float,
        give_back: Callable[[list[Pulled]], object] | None = None,
    ) -> None:
        self._give_back = give_back or partial(self.end_return, are_stored=False)
        self._connect = connect
        self._join = join
        self._lease_s = lease_s
        self._changed = threading.Condition()
        self._arrived: deque[Pulled] = deque()
        self._held: set[Pulled] = set()
        self._moves = 0
        self._channel: Channel | None = None
        self._windows = Windows()
        self._receiving = self._asked = False  # now, and since the last look
        self._closed = False
        self._is_gone = False  # the queue, while there were consumers on it; what is held can be settled
        self._looked_at = boot_time()
        self._is_doubtful = False  # whether the broker still knows the channel

    @property
    def held(self) -> int:
        """The number of messages that have come and were not settled."""
        return len(self._arrived) + len(self._held)

    def receive(self, most: int, timeout_s: float) -> list[Pulled]:
        """Return 1 to *most* messages as soon as there are any, or none after *timeout_s*."""
        channel = self._open()
        with self._changed:
            self._receiving = self._asked = True
        try:
            if timeout_s:
                self._wait(channel, most, timeout_s)
            else:
                self._look(channel, most)
        finally:
            self._receiving = False
        self._resolve_doubt(channel)
        if channel.lost is not None:
            raise channel.lost
        if self._is_gone:
            self._is_gone = False
            raise exceptions.ChannelClosedByBroker(NOT_FOUND, "the queue was deleted")
        return self._leased(most)

    def take(self, receipts: Collection[object]) -> list[Pulled]:
        """Return those of *receipts* that are still held; they are not from now on."""
        with self._changed:
            self._forget_if_lost()
            taken = [receipt for receipt in receipts if receipt in self._held]
            self._held.difference_update(taken)
        return taken

    @property
    def moves(self) -> int:
        """How often unseen messages began or ceased to be on their way back; odd while they are, and not held."""
        return self._moves

    def end_return(self, unseen: Collection[Pulled], *, are_stored: bool) -> None:
        """End what `give_back` began: remove the messages if the queue has copies of them, else requeue them."""
        (self.ack if are_stored else self.requeue)(unseen)
        with self._changed:
            self._moves += 1
            self._changed.notify_all()

    def ack(self, taken: Collection[Pulled]) -> None:
        """Remove messages that `take` returned."""
        self._settle(taken, lambda impl, tag, several: impl.basic_ack(tag, multiple=several))

    def requeue(self, taken: Collection[Pulled]) -> None:
        """Give messages that `take` returned back to the queue; the broker counts it."""
        self._settle(taken, lambda impl, tag, several: impl.basic_nack(tag, multiple=several))

    def extend(self, receipts: Collection[object]) -> list[bool]:
        """Begin the leases of *receipts* anew; `False` in the places of those that are lost."""
        until = boot_time() + self._lease_s
        with self._changed:
            self._forget_if_lost()
            ours = [receipt in self._held for receipt in receipts]
            for receipt in self._held.intersection(receipts):
                receipt.until = until
        return ours

    def take_all(self) -> list[Pulled]:
        """Return all messages that have come and were not settled; none is held from now on."""
        with self._changed:
            self._forget_if_lost()
            taken = [*self._held, *self._arrived]
            self._held.clear()
            self._arrived.clear()
        return taken

    def ours(self) -> tuple[list[Pulled], list[Pulled]]:
        """Return the messages that are leased, and those that have come and nobody has asked for yet."""
        with self._changed:
            self._forget_if_lost()
            return sorted(self._held, key=lambda each: each.tag), list(self._arrived)

    def flush(self) -> None:
        """Return when all that the broker has sent so far has come."""
        channel = self._channel
        if channel is not None and channel.lost is None and self._windows:
            with suppress(exceptions.AMQPError):  # a lost channel brings nothing
                self._flush(channel)

    def leave(self) -> None:
        """Be on the queue no more, so that nothing comes after it."""
        channel = self._channel
        if channel is not None and channel.lost is None and self._windows:
            self._detach(channel)

    def renew(self) -> None:
        """Use another channel, before a queue that is gone is made again; `take` still returns what is held.

        The broker keeps consumers by channel and queue name: one of the old queue would be sent a message of the new,
        and return it with one more delivery counted.
        """
        channel, self._channel = self._channel, None
        with self._changed:
            self._windows.leave()
            self._arrived.clear()
        if channel is not None:
            channel.end_now()

    def stop(self) -> None:
        """End a waiting `receive`, which returns none."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def close(self) -> None:
        """Leave the queue. What is held goes back to it."""
        self.stop()
        channel = self._channel
        if channel is not None:
            self._wait_for_returned(
                channel
            )  # closed before, it would bring back what the queue has copies of
            channel.close()

    # --- the channel

    def _open(self) -> Channel:
        """Return the channel; a new one has lost what the one before held."""
        channel = self._channel
        if channel is not None and channel.lost is None:
            return channel
        with self._changed:
            self._forget_if_lost()
        self._queue = self._join()
        self._is_gone = False
        self._windows = Windows()
        self._channel = channel = self._connect().channel()
        self._looked_at, self._is_doubtful = boot_time(), False
        channel.impl.add_on_cancel_callback(
            lambda frame: self._on_queue_gone(channel, frame.method.consumer_tag)
        )
        channel.connection.tell(lambda: self._look_at_leases(channel))
        return channel

    def _resolve_doubt(self, channel: Channel) -> None:
        """Ask the broker whether it still knows *channel*, if this process was suspended.

        If not, others have what came here before, and the connection's thread may not have read that yet.
        """
        if self._is_doubtful or boot_time() - self._looked_at > _SUSPENDED_S:
            with suppress(exceptions.AMQPError):  # that it is lost
                self._flush(channel)
            self._is_doubtful = False

    def _forget_if_lost(self) -> None:
        """Drop what a lost channel held: the broker gives it to others."""
        if self._channel is not None and self._channel.lost is not None:
            self._held.clear()
            self._arrived.clear()

    def _wait(self, channel: Channel, most: int, timeout_s: float) -> None:
        """Wait for messages."""
        self._attach(channel, most)
        with self._changed:
            self._changed.wait_for(
                lambda: self._arrived or self._closed or self._is_gone or channel.lost, timeout_s
            )

    def _look(self, channel: Channel, most: int) -> None:
        """Have messages that are ready now, if there are any."""
        if self._windows:
            self._flush(channel)
        self._wait_for_returned(channel)
        if self._arrived:
            return
        if self._held:
            self._queue = self._join()  # as in `_attach`
        first = channel.ask(lambda answer: self._get_one(channel, answer))
        if first is None:
            return
        self._arrived.append(first)
        if most > 1:
            self._attach(channel, most - 1)
            self._flush(channel)

    def _wait_for_returned(self, channel: Channel) -> None:
        """Return when no message is on its way back to the queue."""
        with self._changed:
            self._changed.wait_for(lambda: not self._moves % 2 or channel.lost, _RETURNED_WITHIN_S)

    def _attach(self, channel: Channel, most: int) -> None:
        """Be on the queue for up to *most* messages more: by one consumer more, rather than one that leaves first."""
        # Each message that was just settled makes room a moment later: it is not worth a question to the broker.
        enough = max(1, most - most // _NEARLY)
        if self._windows and self._windows.free() < enough:
            self._flush(channel)  # what was settled before has made room by then
        free = self._windows.free()
        if free >= enough or (free and len(self._windows) >= _MOST_CONSUMERS):
            return
        if len(self._windows) >= _MOST_CONSUMERS:
            self._detach(channel)
        self._queue = (
            self._join()
        )  # if it were gone, the broker would close the channel, and forget what is held
        if self._channel is not channel:
            raise exceptions.ChannelClosedByBroker(NOT_FOUND, "the queue was deleted")
        window = min(most - free, _LARGEST_WINDOW)
        name = self._windows.add(window)

        def attach() -> None:
            if channel.lost is None:
                channel.impl.basic_qos(prefetch_count=window)
                channel.impl.basic_consume(self._queue, partial(self._on_message, channel), consumer_tag=name)

        channel.connection.tell(attach)

    def _detach(self, channel: Channel) -> None:
        """Ask for no more, and return when all that the broker sent before has come.

        What the queue sent while it was told of that is behind the answer: hence the flush. pika's own `basic_cancel`
        would reject it, which the broker counts as a delivery.
        """
        names = self._windows.leave()
        for name in names:
            channel.ask(partial(cancel, channel, name))
        self._flush(channel)
        channel.connection.tell(lambda: clean_up(channel, names))

    def _flush(self, channel: Channel) -> None:
        """Return when all that the broker has sent so far has come."""
        channel.call("basic_qos")

    def _leased(self, most: int) -> list[Pulled]:
        until = boot_time() + self._lease_s
        with self._changed:
            messages = [self._arrived.popleft() for _ in range(min(most, len(self._arrived)))]
            for message in messages:
                message.until = until
            self._held.update(messages)
        return messages

    def _settle(self, taken: Collection[Pulled], send: Callable[[Any, int, bool], object]) -> None:
        channel = self._channel
        tags = sorted(message.tag for message in taken if message.channel is channel)
        if channel is not None and tags:
            channel.connection.tell(lambda: self._send_settlements(channel, tags, send))

    # --- in the connection's thread

    def _send_settlements(
        self, channel: Channel, tags: list[int], send: Callable[[Any, int, bool], object]
    ) -> None:
        """Settle *tags*, in ascending order: those below all that stay unsettled by one command.

        A queue keeps what it has no room for in the channel, and forgets that when the channel closes: so, of 500
        commands before a close, most had no effect.
        """
        if channel.lost is not None or not channel.impl.is_open:  # it is closing: they go back to the queue
            return
        together, singles = self._windows.settle(tags)
        if together:
            send(channel.impl, together, True)
        for tag in singles:
            send(channel.impl, tag, False)

    def _on_message(self, channel: Channel, _: Any, method: Any, properties: Any, body: bytes) -> None:
        self._windows.came(method.delivery_tag, method.consumer_tag)
        with self._changed:
            self._arrived.append(Pulled(channel, method.delivery_tag, properties, body))
            self._changed.notify_all()

    def _on_queue_gone(self, channel: Channel, name: str) -> None:
        """Take note that the queue was deleted on which the consumer *name* was; later ones may be on the next one."""
        with self._changed:
            # On another channel, it was found out before, and the queue made again.
            if self._channel is channel and self._windows.remove(name):
                self._is_gone = True
                self._changed.notify_all()

    def _get_one(self, channel: Channel, answer: Future[Any]) -> None:
        """Answer with one message that is ready, or with `None`."""
        impl = channel.impl

        def on_empty(_: Any) -> None:
            if not answer.done():
                answer.set_result(None)

        def on_message(_: Any, method: Any, properties: Any, body: bytes) -> None:
            impl.callbacks.remove(impl.channel_number, pika.spec.Basic.GetEmpty, on_empty)
            self._windows.came(method.delivery_tag)
            pulled = Pulled(channel, method.delivery_tag, properties, body)
            if answer.done():  # it came too late
                self.requeue([pulled])
            else:
                answer.set_result(pulled)

        impl.add_callback(on_empty, [pika.spec.Basic.GetEmpty], one_shot=True)
        impl.basic_get(self._queue, on_message)

    def _look_at_leases(self, channel: Channel) -> None:
        """Give back what was not extended in time; called again and again while the channel is open."""
        if channel.lost is not None:
            with self._changed:
                self._changed.notify_all()
            return
        now = boot_time()
        self._is_doubtful |= now - self._looked_at > _SUSPENDED_S
        self._looked_at = now
        self.requeue(self.take([message for message in list(self._held) if message.until <= now]))
        self._let_go(channel)
        channel.connection.later(_LOOK_EVERY_S, lambda: self._look_at_leases(channel))

    def _let_go(self, channel: Channel) -> None:
        """Leave the queue if nobody has received since the last look, then give back what nobody asked for."""
        with self._changed:
            is_idle, self._asked = not self._receiving and not self._asked, self._receiving
            names = self._windows.leave() if is_idle else []
        for name in names:
            cancel(channel, name, Future())
        if names:
            channel.connection.later(_LATE_S, lambda: clean_up(channel, names))
        elif is_idle:  # a look later, as the copies must not be sent to a consumer that is just leaving
            self._return_unseen()

    def _return_unseen(self) -> None:
        with self._changed:
            unseen = list(self._arrived)
            if unseen:
                self._moves += 1  # before they are held no more: who sees the one has to see the other
                self._arrived.clear()
        if unseen:
            self._give_back(unseen)
