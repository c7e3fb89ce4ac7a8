"""`Channel`: queues are topics of pub/sub, and exchanges route by what all processes have declared."""

from __future__ import annotations

import time
import warnings
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from queue import Empty
from typing import Any

from kombu.exceptions import ChannelError
from kombu.transport import base, virtual
from kombu.transport.virtual.base import (
    NOT_EQUIVALENT_FMT,
    UNDELIVERABLE_FMT,
    NotEquivalentError,
    UndeliverableWarning,
    queue_declare_ok_t,
)

from capa_core.blocks.pubsub import Intake
from capa_kombu.over_pubsub import _arguments
from capa_kombu.over_pubsub._envelope import CONTENT_TYPE, dumps, loads
from capa_kombu.over_pubsub._errors import not_found, refusals_as_channel_errors
from capa_kombu.over_pubsub._received import Held, Received
from capa_kombu.over_pubsub._routing import EXCHANGE_TYPES
from capa_kombu.over_pubsub._topology import BUILT_IN, Exchange, Queue, Topology

GROUP = "celery"
"""All consumers of one queue compete in this group; so do Celery's workers, which consume the same queues."""
LONGEST_RENEWAL_S = 600.0


class Channel(virtual.Channel):  # type: ignore[misc] # kombu is not typed
    """A channel of kombu over one pub/sub component and the declarations of all processes in one state component."""

    supports_fanout = True
    do_restore = False

    def __init__(self, connection: Any, **kwargs: Any) -> None:
        super().__init__(connection, **kwargs)
        self.events: defaultdict[str, set[Any]] = defaultdict(set)
        self._received = Received(self._join, self._next_delivery_tag)
        self._consuming: dict[str, deque[tuple[str, Callable[[Any], Any]]]] = defaultdict(deque)
        self._renewals: dict[str, float] = {}
        self._turn = 0
        self._ident = self._next_delivery_tag()
        self._transport = connection  # kombu takes `connection` away when the channel is closed

    @property
    def _topology(self) -> Topology:
        topology: Topology = self._transport.topology
        return topology

    @property
    def _pubsub(self) -> Any:
        return self._transport.pubsub

    @property
    def _host(self) -> str:
        return str(self.connection.client.virtual_host or "/")

    def _join(self, queue: str) -> Intake:
        intake: Intake = self._pubsub.intake(queue, GROUP, lease=self._transport.lease_s, raw=True)
        return intake

    # Exchanges

    def exchange_declare(  # noqa: PLR0917 - kombu's order
        self,
        exchange: str | None = None,
        type: str | None = "direct",  # noqa: A002 - kombu's name
        durable: bool = False,
        auto_delete: bool = False,
        arguments: Any = None,
        nowait: bool = False,  # noqa: ARG002 - kombu's signature
        passive: bool = False,
    ) -> None:
        """Declare an exchange for all processes.

        Raises:
            ChannelError: (kombu's) its type is none of these three; with *passive*, it is not declared.
            NotEquivalentError: (kombu's) it was declared with another type, or other arguments.
        """
        kind = type or "direct"
        name = exchange or f"amq.{kind}"
        if kind not in EXCHANGE_TYPES and not passive:
            raise ChannelError(f"exchange {name!r}: there is no type {kind!r}, but {sorted(EXCHANGE_TYPES)}")
        with refusals_as_channel_errors():
            if passive:
                if self._topology.exchange(name) is None:
                    raise not_found("exchange", name, self._host)
            elif name not in BUILT_IN:
                wanted = Exchange(kind, bool(durable), bool(auto_delete), arguments or {})
                self._check_equivalent(name, wanted, self._topology.declare_exchange(name, wanted))

    def _check_equivalent(self, name: str, wanted: Exchange, kept: Exchange) -> None:
        facts = [(one.type, one.durable, one.auto_delete, one.arguments) for one in (wanted, kept)]
        if facts[0] != facts[1]:
            raise NotEquivalentError(NOT_EQUIVALENT_FMT.format(name, self._host))

    def exchange_delete(self, exchange: str, if_unused: bool = False, nowait: bool = False) -> None:  # noqa: ARG002
        """Delete an exchange and its bindings; the queues stay.

        Raises:
            ChannelError: (kombu's) *if_unused* is given, and a queue is bound to it.
        """
        with refusals_as_channel_errors():
            found = self._topology.exchange(exchange) if if_unused else None
            if found is not None and found.bindings:
                text = f"PRECONDITION_FAILED - exchange {exchange!r} in vhost {self._host!r} in use"
                raise ChannelError(text, (40, 20), "Channel.exchange_delete", "406")
            self._topology.delete_exchange(exchange)

    def get_exchanges(self) -> list[str]:
        """Return the names of the declared exchanges."""
        return [name for name, _ in self._topology.exchanges()]

    def get_table(self, exchange: str) -> list[tuple[str, None, str]]:
        """Return key and queue of each binding of *exchange*."""
        found = self._topology.exchange(exchange)
        return [(key, None, queue) for queue, key in (found.bindings if found else ())]

    def list_bindings(self) -> Iterator[tuple[str, str, str]]:
        """Yield queue, exchange and key of each binding."""
        for name, exchange in self._topology.exchanges():
            for queue, key in exchange.bindings:
                yield queue, name, key

    # Queues

    def prepare_queue_arguments(self, arguments: Any, **options: Any) -> dict[str, Any]:
        """Return *arguments* with the options of `kombu.Queue` among them, as RabbitMQ names them."""
        return dict(base.to_rabbitmq_queue_arguments(arguments or {}, **options))

    def queue_declare(
        self,
        queue: str | None = None,
        passive: bool = False,
        exclusive: bool = False,
        auto_delete: bool = False,
        arguments: Any = None,
        **_: Any,
    ) -> Any:
        """Declare a queue for all processes, and return its name and how many messages wait there.

        Raises:
            ChannelError: (kombu's) *passive* is given, and there is no such queue; or the name is refused.
            UnsupportedError: An argument cannot be served.
        """
        name = queue or f"amq.gen-{self._next_delivery_tag()}"
        with refusals_as_channel_errors():
            size = self._size(name)
            if not passive:
                served = _arguments.served(name, arguments, self._transport.scheme)
                self._declare(name, Queue(bool(exclusive), bool(auto_delete), served))
            elif not size and self._topology.queue(name) is None:
                raise not_found("queue", name, self._host)
        return queue_declare_ok_t(name, size, 0)

    def _declare(self, name: str, queue: Queue) -> None:
        if queue.passes:
            for gone in self._topology.forgotten():
                self._purge(gone)
        self._topology.declare_queue(name, queue)
        self._renew_later(name, queue)
        if queue.exclusive:
            self._transport.exclusive_queues.add(name)

    def queue_bind(
        self,
        queue: str,
        exchange: str | None = None,
        routing_key: str = "",
        arguments: Any = None,  # noqa: ARG002 - kombu's signature
        **_: Any,
    ) -> None:
        """Bind a queue to an exchange, for all processes.

        Raises:
            ChannelError: (kombu's) the exchange is not declared.
        """
        name = exchange or "amq.direct"
        with refusals_as_channel_errors():
            if not self._topology.bind(queue, name, routing_key or ""):
                raise not_found("exchange", name, self._host)

    def queue_unbind(
        self,
        queue: str,
        exchange: str | None = None,
        routing_key: str = "",
        arguments: Any = None,  # noqa: ARG002 - kombu's signature
        **_: Any,
    ) -> None:
        """Remove a binding; nothing happens if there is none."""
        with refusals_as_channel_errors():
            self._topology.unbind(queue, exchange or "amq.direct", routing_key or "")

    def queue_delete(
        self,
        queue: str,
        if_unused: bool = False,  # noqa: ARG002 - kombu's signature
        if_empty: bool = False,
        **_: Any,
    ) -> None:
        """Delete a queue with its bindings and messages; with *if_empty*, only if no message waits."""
        if if_empty and self._size(queue):
            return
        self._renewals.pop(queue, None)
        self._transport.exclusive_queues.discard(queue)
        with refusals_as_channel_errors():
            self._topology.delete_queue(queue)
            self._purge(queue)

    def _purge(self, queue: str) -> int:
        with refusals_as_channel_errors():
            return int(self._pubsub.purge(queue))

    def _size(self, queue: str) -> int:
        with refusals_as_channel_errors():
            return max(0, int(self._pubsub.depth(queue, GROUP)) - self._received.count(queue))

    # Publishing

    def basic_publish(
        self,
        message: dict[str, Any],
        exchange: str = "",
        routing_key: str = "",
        mandatory: bool = False,
        **_: Any,
    ) -> None:
        """Publish a message to each queue that the exchange routes it to.

        With *mandatory*, one that no queue gets is given to the receivers of `events["basic_return"]`.
        """
        self._inplace_augment_message(message, exchange, routing_key)
        with refusals_as_channel_errors():
            queues = self._routed(exchange, routing_key or "")
            for name, queue in queues.items():
                self._put(name, message, arguments=queue.arguments)
        if mandatory and not queues:
            self._return(message, exchange, routing_key)

    def _routed(self, exchange: str, routing_key: str) -> dict[str, Queue]:
        queues = self._topology.routed(exchange, routing_key)
        if queues or self.deadletter_queue is None:
            return queues
        text = UNDELIVERABLE_FMT.format(exchange=exchange, routing_key=routing_key)
        warnings.warn(UndeliverableWarning(text), stacklevel=4)
        return {self.deadletter_queue: Queue()}

    def _lookup(self, exchange: str, routing_key: str, default: str | None = None) -> list[str]:
        return list(self._routed(exchange, routing_key)) or ([default] if default else [])

    def _put(
        self, queue: str, message: dict[str, Any], *, arguments: dict[str, Any] | None = None, **_: Any
    ) -> None:
        properties = message["properties"]
        self._pubsub.publish(
            queue,
            dumps(message),
            content_type=CONTENT_TYPE,
            priority=self._transport.priority(properties.get("priority")),
            ttl=_arguments.ttl_s(arguments or {}, properties.get("expiration")),
            raw=True,
        )

    def _return(self, message: dict[str, Any], exchange: str, routing_key: str) -> None:
        error = ChannelError("NO_ROUTE", (60, 40), "Channel.basic_publish", "312")
        for receive in list(self.events["basic_return"]):
            receive(error, exchange, routing_key, self.Message(message, channel=self))

    # Consuming

    def basic_consume(
        self, queue: str, no_ack: bool, callback: Callable[[Any], Any], consumer_tag: str, **kwargs: Any
    ) -> None:
        """Consume a queue; several consumers of one channel take turns."""
        with refusals_as_channel_errors():
            found = self._topology.queue(queue)
            if found is not None and found.passes:
                self._topology.add_consumer(queue, f"{self._ident}.{consumer_tag}")
                self._renew_later(queue, found)
            self._begin(queue)
        super().basic_consume(queue, no_ack, callback, consumer_tag, **kwargs)

        def deliver(raw: dict[str, Any]) -> Any:
            message = self.Message(raw, channel=self)
            if no_ack:
                self._received.settle(message.delivery_tag, Intake.ack)
            else:
                self.qos.append(message, message.delivery_tag)
            return callback(message)

        self._consuming[queue].append((consumer_tag, deliver))

    def _begin(self, queue: str) -> None:
        """Join the group of *queue* now, and not with the first look at it: the engine then knows the consumer."""
        self._received.join(queue)

    def basic_cancel(self, consumer_tag: str) -> None:
        """End a consumer; a queue with `auto_delete` ends with its last one."""
        queue = self._tag_to_queue.get(consumer_tag)
        super().basic_cancel(consumer_tag)
        if queue is None:
            return
        waiting = self._consuming[queue]
        self._consuming[queue] = deque(one for one in waiting if one[0] != consumer_tag)
        if not self._consuming[queue]:
            self._received.leave(queue)
        if queue in self._renewals and self._topology.remove_consumer(queue, f"{self._ident}.{consumer_tag}"):
            self.queue_delete(queue)

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:
        """Return the next message of a queue; `None` if there is none."""
        message = super().basic_get(queue, no_ack=no_ack, **kwargs)
        if message is not None and no_ack:
            self._received.settle(message.delivery_tag, Intake.ack)
        return message

    def _get_and_deliver(self, queue: str, _: Any, timeout: float | None = None) -> None:
        message = self._get(queue, timeout)
        consumers = self._consuming[queue]
        consumers.rotate(-1)
        consumers[-1][1](message)

    def _poll(self, cycle: Any, callback: Any, timeout: float | None = None) -> Any:
        """Deliver a message; wait for one in the engine, at a single queue or at each of several in turn."""
        queues = self._active_queues
        if timeout and len(queues) == 1:
            return self._get_and_deliver(queues[0], callback, timeout)
        try:
            return super()._poll(cycle, callback)
        except Empty:
            if not timeout:
                raise
        self._turn += 1
        wait_s = min(timeout, self._transport.polling_interval)
        return self._get_and_deliver(queues[self._turn % len(queues)], callback, wait_s)

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        self._renew(queue)
        return self._received.get(queue, timeout or 0.0)

    def _renew(self, queue: str) -> None:
        """Give a sign of life of a queue that would go away without one."""
        if self._renewals.get(queue, float("inf")) <= time.monotonic():
            self._renewals[queue] = time.monotonic() + LONGEST_RENEWAL_S
            found = self._topology.queue(queue)
            if found is not None:
                self._topology.keep(queue)
                self._renew_later(queue, found)

    def _renew_later(self, name: str, queue: Queue) -> None:
        if queue.passes:
            rest_s = min(LONGEST_RENEWAL_S, (queue.lasts_s or LONGEST_RENEWAL_S) / 3)
            self._renewals[name] = time.monotonic() + rest_s

    # Settling

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        """Acknowledge a message; with *multiple*, all that this channel received before it too."""
        for tag in self._received.tags(delivery_tag) if multiple else [delivery_tag]:
            self.qos.ack(tag)
            self._received.settle(tag, Intake.ack)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Requeue a message, or drop it; a queue with a dead letter exchange gives it there."""
        self.qos.ack(delivery_tag)
        held = self._received.pop(delivery_tag)
        if held is None:
            return
        if requeue:
            held.intake.nack([held.message])
            return
        with refusals_as_channel_errors():
            self._dead_letter(held)
        held.intake.ack([held.message])

    def _dead_letter(self, held: Held) -> None:
        queue = self._topology.queue(held.queue)
        exchange = queue.arguments.get(_arguments.DEAD_EXCHANGE) if queue else None
        if queue is None or exchange is None:
            return
        message = loads(held.message.data)
        info = message["properties"]["delivery_info"]
        death = {
            "queue": held.queue,
            "reason": "rejected",
            "count": 1,
            "exchange": info["exchange"],
            "routing-keys": [info.get("routing_key", held.queue)],
        }
        headers = message["headers"]
        headers["x-death"] = [death, *headers.get("x-death", ())]
        for name in ("queue", "reason", "exchange"):
            headers.setdefault(f"x-first-death-{name}", death[name])
        message["properties"].pop("expiration", None)
        key = queue.arguments.get(_arguments.DEAD_KEY, death["routing-keys"][0])
        info.update(exchange=exchange, routing_key=key)
        for name, target in self._routed(exchange, key).items():
            self._put(name, message, arguments=target.arguments)

    def basic_recover(self, requeue: bool = False) -> None:
        """Requeue all messages that this channel received and did not settle."""
        if not requeue:
            raise NotImplementedError("Does not support recover(requeue=False)")
        for tag in self._received.tags(""):
            self.basic_reject(tag, requeue=True)

    def close(self) -> None:
        """Cancel the consumers, and release messages that were received and not settled."""
        try:
            super().close()
        finally:
            self._received.close()
