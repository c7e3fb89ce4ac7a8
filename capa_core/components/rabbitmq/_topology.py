"""Exchanges and queues of topics: declared when they are needed, and listed in an index that the broker keeps.

    topic ──▶ groups ──▶ group.<topic>|<group>   one queue for each group
      │          └─ no group yet ──▶ kept         what waits for the first group
      └─────▶ queues of broadcast listeners

The queue `index` of a topic lists its groups and delay queues; one queue, `topics`, the topics.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from pika import exceptions

from capa_core.components.rabbitmq import _delays
from capa_core.components.rabbitmq._connection import Channel, Connection
from capa_core.components.rabbitmq._errors import LOCKED, NOT_FOUND, RefusedError, is_gone, on_declaring
from capa_core.components.rabbitmq._index import Index
from capa_core.components.rabbitmq._names import Names, target
from capa_core.components.rabbitmq._publisher import Publish

_T = TypeVar("_T")
_QUORUM = {"x-queue-type": "quorum"}
_GROUP, _DELAY = "group", "delay"
_MOST_PEEKS = 1_000


class Topology:
    """The exchanges and queues that one connection has declared, until `forget`."""

    def __init__(
        self, connect: Callable[[], Connection], publish: Publish, *, prefix: str, limit_s: float
    ) -> None:
        self.index = Index(connect, publish, limit_s)
        self._connect = connect
        self._prefix = prefix
        self._one_by_one = threading.Lock()
        self._channel: Channel | None = None
        self._declared: set[str] = set()

    def forget(self) -> None:
        """Declare all anew when it is needed next."""
        self._declared.clear()

    def names(self, topic: str) -> Names:
        """Return the names of *topic*."""
        return Names(self._prefix, topic)

    def topic(self, names: Names) -> None:
        """Have the exchanges and the `kept` queue of a topic."""
        if names.exchange in self._declared:
            return
        self._exchange(names.kept, "fanout")
        self._quorum(names.kept)
        self._call("queue_bind", queue=names.kept, exchange=names.kept)
        self._exchange(names.groups, "fanout", {"alternate-exchange": names.kept})
        self._exchange(names.exchange, "fanout")
        self._call("exchange_bind", source=names.exchange, destination=names.groups)
        is_new = self.count(names.index) is None
        self._list(names.index)
        if is_new:
            self._list(names.topics)
            self.index.note(names.topics, names.topic)
        self._declared.add(names.exchange)

    def group(self, names: Names, group: str) -> str:
        """Have the queue of *group*, and return its name."""
        queue = names.group(group)
        self._anew_if_gone(lambda: self._group(names, queue, group))
        return queue

    def listener(self, names: Names, group: str) -> str:
        """Have the queue of a broadcast listener, which ends with this connection, and return its name."""
        queue = names.group(group)
        self._anew_if_gone(lambda: self._listener(names, queue))
        return queue

    def mend(self, names: Names) -> None:
        """Declare a topic anew, after an operator deleted a part of it, and bind the groups that are left.

        Also what leads delayed messages to them. A group without its queue is made by its own consumers alone: it may
        have been deleted for good.
        """
        self.forget()
        self.topic(names)
        groups, delays = self.listed(names)
        there = [queue for queue in groups if self.count(queue) is not None]
        for queue in there:
            self._call("queue_bind", queue=queue, exchange=names.groups)
        for queue in {leads_to for _, leads_to in delays} & {names.exchange, *there}:
            self._ladder()
            self._destination(names, queue)

    def delete(self, queue: str) -> None:
        """Delete *queue*, if there is one."""
        self._call("queue_delete", queue=queue)

    def delays(self, names: Names, count: int, queue: str) -> None:
        """Have what a message needs that waits for *count* ticks on its way to *queue*, or to the topic's exchange."""
        self._anew_if_gone(lambda: self._delays(names, count, queue))

    def count(self, queue: str) -> int | None:
        """Return how many messages are ready in *queue*; `None` if there is no such queue."""
        try:
            return int(self._call("queue_declare", queue=queue, passive=True).method.message_count)
        except exceptions.ChannelClosedByBroker as error:
            if error.reply_code == NOT_FOUND:
                return None
            if error.reply_code == LOCKED:  # of a broadcast listener elsewhere, who alone may count
                return 0
            raise

    def difference(self, queue: str) -> str:
        """Return in which argument *queue* is none as `group` makes it, in the broker's words; `""` if it is one."""
        try:
            if self.count(queue) is not None:
                self._quorum(queue)
        except RefusedError as error:
            return str(error.__cause__)
        return ""

    def purge(self, queue: str) -> int:
        """Remove the messages that are ready in *queue*, and return their number; 0 if there is no such queue."""
        if self.count(queue) is None:
            return 0
        return int(self._call("queue_purge", queue=queue).method.message_count)

    def topics(self) -> set[str]:
        """Return the names of all topics."""
        return {str(topic) for (topic,) in self.index.entries(self.names("").topics)}

    def listed(self, names: Names) -> tuple[dict[str, str], list[tuple[str, str]]]:
        """Return the topic's groups by queue, and its delay queues with the queue that each leads to.

        Raises:
            DeadlineError: Others read the index all the time.
        """
        entries = self.index.entries(names.index)
        groups = {queue: group for kind, queue, group in entries if kind == _GROUP}
        delays = {(level, queue) for kind, queue, level in entries if kind == _DELAY}
        return groups, [(names.delayed(level, queue), queue) for level, queue in sorted(delays)]

    def note_peek(self, names: Names, queue: str, idents: list[str]) -> None:
        """Note that messages of *queue* were received to be looked at: the broker counts that as deliveries."""
        if names.peeks not in self._declared:
            self._list(names.peeks, {"x-max-length": _MOST_PEEKS})
            self._declared.add(names.peeks)
        self.index.note(names.peeks, queue, idents)

    def peeks(self, names: Names, queue: str) -> Counter[str]:
        """Return how often messages of *queue* were looked at lately, by id."""
        if not self.count(names.peeks):
            return Counter()
        return Counter(
            ident for of, idents in self.index.entries(names.peeks) if of == queue for ident in idents
        )

    # --- parts

    def _anew_if_gone(self, work: Callable[[], _T]) -> _T:
        """Return what *work* returns; if a part of it was deleted since it was declared, declare that anew before."""
        try:
            return work()
        except exceptions.ChannelClosedByBroker as error:
            if not is_gone(error):
                raise
        self.forget()
        return work()

    def _group(self, names: Names, queue: str, group: str) -> None:
        self.topic(names)
        is_new = self.count(queue) is None
        self._quorum(queue)  # also if it is there: an operator may have made it of another type
        if is_new or not self.count(names.index):
            self.index.note(names.index, _GROUP, queue, group)
        self._call("queue_bind", queue=queue, exchange=names.groups)

    def _listener(self, names: Names, queue: str) -> None:
        self.topic(names)
        self._call("queue_declare", queue=queue, exclusive=True)
        self._call("queue_bind", queue=queue, exchange=names.exchange)

    def _delays(self, names: Names, count: int, queue: str) -> None:
        self._ladder()
        self._destination(names, queue)
        for level in reversed(_delays.levels(count)):
            self._delay_queue(names, level, queue)

    def _ladder(self) -> None:
        due = _delays.exchange(self._prefix, -1)
        if due in self._declared:
            return
        self._exchange(due, "topic")
        for level in _delays.all_levels():
            here, below = (_delays.exchange(self._prefix, each) for each in (level, level - 1))
            self._exchange(here, "topic")
            self._call("exchange_bind", source=here, destination=below, routing_key=_delays.passes(level))
        self._declared.add(due)

    def _destination(self, names: Names, queue: str) -> None:
        known = f"due {queue}"
        if known in self._declared:
            return
        arguments = {"source" if queue == names.exchange else "exchange": _delays.exchange(self._prefix, -1)}
        pattern = _delays.is_due(target(queue))
        if queue == names.exchange:
            self._call("exchange_bind", destination=queue, routing_key=pattern, **arguments)
        else:
            self._call("queue_bind", queue=queue, routing_key=pattern, **arguments)
        self._declared.add(known)

    def _delay_queue(self, names: Names, level: int, queue: str) -> None:
        waiting = names.delayed(level, queue)
        if waiting in self._declared:
            return
        is_new = self.count(waiting) is None
        arguments = {
            "x-message-ttl": _delays.expiry_ms(level),
            "x-dead-letter-exchange": _delays.exchange(self._prefix, level - 1),
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
        self._quorum(waiting, arguments)
        if is_new:
            self.index.note(names.index, _DELAY, queue, level)
        pattern = _delays.waits_at(level, target(queue))
        self._call(
            "queue_bind", queue=waiting, exchange=_delays.exchange(self._prefix, level), routing_key=pattern
        )
        self._declared.add(waiting)

    def _exchange(self, name: str, kind: str, arguments: dict[str, Any] | None = None) -> None:
        self._declare(
            "exchange_declare", exchange=name, exchange_type=kind, durable=True, arguments=arguments
        )

    def _quorum(self, queue: str, arguments: dict[str, Any] | None = None) -> None:
        self._declare("queue_declare", queue=queue, durable=True, arguments=_QUORUM | (arguments or {}))

    def _list(self, queue: str, arguments: dict[str, Any] | None = None) -> None:
        self._declare("queue_declare", queue=queue, durable=True, arguments=arguments)

    def _declare(self, method: str, **arguments: Any) -> None:
        try:
            self._call(method, **arguments)
        except exceptions.ChannelClosedByBroker as error:
            raise on_declaring(error) from error

    def _call(self, method: str, **arguments: Any) -> Any:
        with self._one_by_one:  # a refusal closes the channel, and would be the answer to other calls too
            if self._channel is None or self._channel.lost is not None:
                self._channel = self._connect().channel()
            return self._channel.call(method, **arguments)
