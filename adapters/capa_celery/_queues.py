"""The layout of queues: from Celery's queues, exchanges and priorities to topics of pub/sub."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from kombu import Exchange, Queue

from capa_core.engine import scheme_of

GROUP = "celery"
"""All workers of one queue compete in this group."""


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
            if any(_matches(binding, routing_key or "") for binding in _bindings(queue, name))
        )
    )


def engine_priority(priority: Any, scheme: str) -> int:
    """Return Capa's priority, 0 (normal) to 9 (most urgent), for a task's *priority* on a broker of *scheme*.

    On Redis 0 is both the default and the most urgent: a task with any other priority is *less* urgent than the others.
    """
    level = min(9, max(0, int(priority or 0)))
    return 9 - level if _lowest_is_first(scheme) else level


def default_priority(scheme: str) -> int | None:
    """Return the priority that kombu writes into a message where none is given; only in AMQP there may be none."""
    known = scheme_of(scheme)
    return None if known is not None and known[0].system == "rabbitmq" else 0


@cache
def _lowest_is_first(scheme: str) -> bool:
    known = scheme_of(scheme)
    return known is not None and known[0].most_urgent == "lowest"


def _bindings(queue: Queue, exchange: str) -> Iterable[tuple[str, str]]:
    """Yield type and key of each binding of *queue* to *exchange*."""
    if queue.exchange is not None and queue.exchange.name == exchange:
        yield queue.exchange.type, queue.routing_key or ""
    for binding in queue.bindings or ():
        if binding.exchange.name == exchange:
            yield binding.exchange.type, binding.routing_key or ""


def _matches(binding: tuple[str, str], routing_key: str) -> bool:
    kind, pattern = binding
    if kind == "topic":
        return _words_match(pattern.split("."), routing_key.split("."))
    return kind == "fanout" or pattern == routing_key


def _words_match(pattern: list[str], words: list[str]) -> bool:
    """Return whether the words match as in an AMQP topic exchange: `*` is one word, `#` any number of them or none."""
    if not pattern:
        return not words
    head, rest = pattern[0], pattern[1:]
    if head == "#":
        return any(_words_match(rest, words[skipped:]) for skipped in range(len(words) + 1))
    return bool(words) and head in ("*", words[0]) and _words_match(rest, words[1:])
