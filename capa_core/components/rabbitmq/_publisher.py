"""Publishing with confirms: a message counts as stored when the broker has it on disk, and as refused otherwise."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

import pika
from pika import exceptions

from capa_core.components.rabbitmq._connection import Channel, Connection
from capa_core.components.rabbitmq._errors import is_gone, on_publishing
from capa_core.errors import CapaError, ExhaustedError, NotFoundError

LASTING = pika.BasicProperties(delivery_mode=2)


class Outgoing(NamedTuple):
    """A message on its way to an exchange."""

    exchange: str
    key: str
    body: bytes
    properties: pika.BasicProperties


Publish = Callable[[Sequence[Outgoing]], list[CapaError | None]]


class _Batch:
    """Messages whose confirms are awaited together."""

    def __init__(self, messages: Sequence[Outgoing]) -> None:
        self.messages = messages
        self.outcomes: list[CapaError | None] = [None] * len(messages)
        self._open = bytearray(b"\1" * len(messages))
        self._left = len(messages)

    def left(self) -> list[int]:
        """Return the places of the messages that are not settled."""
        return [place for place, is_open in enumerate(self._open) if is_open]

    def settle(self, place: int, error: CapaError | None) -> bool:
        """Note the outcome of the message at *place*, and return whether it was the last."""
        self.outcomes[place] = self.outcomes[place] or error
        self._open[place] = 0
        self._left -= 1
        return not self._left


class _Open(NamedTuple):
    batch: _Batch
    place: int
    answer: Future[Any]


class Publisher:
    """Publishes over one channel at a time, for all threads."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._opening = threading.Lock()
        self._line: _Line | None = None

    def publish(self, messages: Sequence[Outgoing]) -> list[CapaError | None]:
        """Publish all *messages*, in order, and return the error of each that the broker has not stored.

        That is a `NotFoundError` where an exchange is missing, or no queue is behind it.

        Raises:
            pika.exceptions.AMQPError: The connection is lost, or the broker refused one. Some may have been stored.
            DeadlineError: Not all were confirmed in time. Some may have been stored.
        """
        batch = _Batch(messages)
        try:
            self._open_line().send(batch)
        except exceptions.ChannelClosedByBroker:
            # The broker refused a message of one of those who share the channel: alone, each sees its own outcome.
            self._send_alone(batch)
        return batch.outcomes

    def publish_soon(self, messages: Sequence[Outgoing], after: Callable[[bool], object]) -> None:
        """Publish *messages* without waiting, then call *after* with whether all are stored."""
        batch, answer, line = _Batch(messages), Future[Any](), self._line
        answer.add_done_callback(lambda done: after(done.exception() is None and not any(batch.outcomes)))
        if line is None:
            answer.set_exception(exceptions.ChannelWrongStateError("there is no channel to publish on yet"))
        else:
            line.begin(batch, answer)

    def prepare(self) -> None:
        """Have a channel to publish on."""
        self._open_line()

    def _send_alone(self, batch: _Batch) -> None:
        channel = self._connect().channel()
        try:
            _Line(channel).send(batch)
        except exceptions.ChannelClosedByBroker as error:
            if not is_gone(error):
                raise on_publishing(error) from error
            for place in batch.left():
                batch.settle(place, NotFoundError(f"RabbitMQ refused a message: {error.reply_text}"))
        finally:
            channel.close()

    def _open_line(self) -> _Line:
        with self._opening:
            if self._line is None or self._line.channel.lost is not None:
                self._line = _Line(self._connect().channel())
            return self._line


class _Line:
    """A channel in confirm mode, with the messages that are not confirmed."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._sent = 0
        self._open: OrderedDict[int, _Open] = OrderedDict()
        channel.impl.add_on_return_callback(self._on_return)
        channel.call("confirm_delivery", ack_nack_callback=self._on_confirm)

    def send(self, batch: _Batch) -> None:
        """Publish what is left of *batch*, and return once all is confirmed."""
        self.channel.ask(lambda answer: self._publish(batch, answer))

    def begin(self, batch: _Batch, answer: Future[Any]) -> None:
        """Publish *batch* without waiting; *answer* is set once all is confirmed, or fails."""
        self.channel.begin(lambda _: self._publish(batch, answer), answer)

    # --- in the connection's thread

    def _publish(self, batch: _Batch, answer: Future[Any]) -> None:
        for place in batch.left():
            self.channel.impl.basic_publish(*batch.messages[place], mandatory=True)
            self._sent += 1  # not before: a message that cannot be encoded is not counted by the broker
            self._open[self._sent] = _Open(batch, place, answer)

    def _on_return(self, _: Any, method: Any, properties: Any, body: bytes) -> None:
        """Note that no queue takes a message; its confirm follows."""
        for batch, place, _answer in self._open.values():
            sent = batch.messages[place]
            if (sent.key, sent.properties.message_id, sent.body) == (
                method.routing_key,
                properties.message_id,
                body,
            ):
                batch.outcomes[place] = NotFoundError(
                    f"RabbitMQ has no queue behind the exchange {method.exchange!r}: was it, or a binding, deleted?"
                    " Publish again, which declares all anew."
                )
                return

    def _on_confirm(self, frame: Any) -> None:
        refused = isinstance(frame.method, pika.spec.Basic.Nack)
        for tag in self._settled_by(frame.method):
            batch, place, answer = self._open.pop(tag)
            error = (
                ExhaustedError(
                    "RabbitMQ refused a message: a queue is full or has lost its quorum. Look at its log."
                )
                if refused
                else None
            )
            if batch.settle(place, error) and not answer.done():
                answer.set_result(None)

    def _settled_by(self, method: Any) -> list[int]:
        if not method.multiple:
            return [method.delivery_tag] if method.delivery_tag in self._open else []
        tags = []
        for tag in self._open:
            if tag > method.delivery_tag:
                break
            tags.append(tag)
        return tags
