"""The layout of queues: from Celery's queues, exchanges and priorities to topics of pub/sub."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kombu import Exchange, Queue

from capa_core.engine import scheme_of
from capa_kombu import over_pubsub
from capa_kombu.over_pubsub import Topology, key_matches


@dataclass(frozen=True, slots=True)
class Topic:
    """The topic that holds the messages of one queue; *broadcast* when every worker gets each of them."""

    name: str
    broadcast: bool = False


def topic_of(queue: Queue | str) -> Topic:
    """Return the topic of *queue*: its name, or for a queue on a fanout exchange that of the exchange."""
    if isinstance(queue, str):
        return Topic(queue)
    exchange = queue.exchange
    if exchange is not None and exchange.type == "fanout":
        return Topic(exchange.name, broadcast=True)
    return Topic(queue.name)


def bound_to(exchange: Exchange | str, routing_key: str | None, queues: Mapping[str, Queue]) -> list[Topic]:
    """Return the topics of the queues that a message to *exchange* with *routing_key* reaches, each once.

    The default exchange `""` reaches the queue that is named like the key, declared or not, as in AMQP.
    """
    name = exchange.name if isinstance(exchange, Exchange) else exchange
    if not name:
        key = routing_key or ""
        return [topic_of(queues.get(key, key))]
    return list(
        dict.fromkeys(
            topic_of(queue)
            for queue in queues.values()
            if any(key_matches(binding, routing_key or "") for binding in _bindings(queue, name))
        )
    )


def default_priority(scheme: str) -> int | None:
    """Return the priority that kombu writes into a message where none is given; only in AMQP there may be none."""
    known = scheme_of(scheme)
    return None if known is not None and known[0].system == "rabbitmq" else 0


def declare(queue: Queue, topology: Topology) -> None:
    """Declare the bindings of a queue that a worker consumes, for producers of kombu outside the application.

    Raises:
        UnavailableError: The state component did not answer. Some of them may be declared.
    """
    for exchange, key in _bound(queue):
        if exchange.name:
            facts = (exchange.type, exchange.durable, exchange.auto_delete, exchange.arguments or {})
            topology.declare_exchange(exchange.name, over_pubsub.Exchange(*facts))
            topology.bind(topic_of(queue).name, exchange.name, key)


def _bindings(queue: Queue, exchange: str) -> Iterable[tuple[str, str]]:
    """Yield type and key of each binding of *queue* to *exchange*."""
    return ((bound.type, key) for bound, key in _bound(queue) if bound.name == exchange)


def _bound(queue: Queue) -> Iterator[tuple[Exchange, str]]:
    """Yield exchange and key of each binding of *queue*."""
    if queue.exchange is not None:
        yield queue.exchange, queue.routing_key or ""
    for binding in queue.bindings or ():
        yield binding.exchange, binding.routing_key or ""
