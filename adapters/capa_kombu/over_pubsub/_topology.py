"""Declared exchanges, queues and bindings: kept in the state component, so that every process routes by the same.

One record for each exchange holds its type and bindings; one for each queue its arguments. The record of a queue that
is to go away by itself (`auto_delete`, `exclusive`, `expires`) has a time to live, which its users renew: the queue of
a killed process is forgotten, and what came for it is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from json import loads
from typing import TYPE_CHECKING, Any

from capa_core.blocks.state import State
from capa_core.errors import ConflictError
from capa_kombu.over_pubsub._arguments import EXPIRES
from capa_kombu.over_pubsub._routing import key_matches

if TYPE_CHECKING:
    from collections.abc import Iterator

EXCHANGE, QUEUE, PASSING = "kombu-exchange-", "kombu-queue-", "kombu-passing-queues"
GONE, GONE_S = {"gone": True}, 86_400.0
"""The record of a queue that went away, and how long it stays: replies that are late are for nobody by then."""
USED_S = 3600.0
"""How long a queue with a consumer outlives the last sign of life of it; as on kombu's transport to Redis."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A declared exchange; each binding is a queue and a key."""

    type: str = "direct"
    durable: bool = True
    auto_delete: bool = False
    arguments: dict[str, Any] = field(default_factory=dict)
    bindings: list[list[str]] = field(default_factory=list)

    def routed(self, routing_key: str) -> list[str]:
        """Return the queues that a message with *routing_key* reaches, each once."""
        found = (queue for queue, key in self.bindings if key_matches((self.type, key), routing_key))
        return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Queue:
    """A declared queue; the exchanges are those that it is bound to."""

    exclusive: bool = False
    auto_delete: bool = False
    arguments: dict[str, Any] = field(default_factory=dict)
    exchanges: list[str] = field(default_factory=list)
    consumers: list[str] = field(default_factory=list)

    @property
    def passes(self) -> bool:
        """Whether the queue goes away by itself."""
        return self.exclusive or self.auto_delete or EXPIRES in self.arguments

    @property
    def lasts_s(self) -> float | None:
        """Seconds for which it stays without a sign of life; `None` for ever."""
        expires = self.arguments.get(EXPIRES)
        if expires is not None and not self.consumers:
            return max(1.0, float(expires) / 1000)
        return USED_S if self.passes else None


BUILT_IN = {f"amq.{kind}": Exchange(kind) for kind in ("direct", "topic", "fanout")}
Change = Callable[[dict[str, Any] | None], dict[str, Any] | None]


class Topology:
    """The declared exchanges, queues and bindings of one component. Safe for many threads and processes.

    Every method may raise `UnavailableError`: the state component did not answer.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def exchange(self, name: str) -> Exchange | None:
        """Return the exchange *name*; `None` if it is not declared."""
        found = self._state.get_json(EXCHANGE + name)
        return BUILT_IN.get(name) if found is None else Exchange(**found)

    def exchanges(self) -> Iterator[tuple[str, Exchange]]:
        """Yield each declared exchange with its name."""
        for key in self._state.scan(EXCHANGE):
            name = key.removeprefix(EXCHANGE)
            found = self.exchange(name)
            if found is not None:
                yield name, found

    def declare_exchange(self, name: str, declared: Exchange) -> Exchange:
        """Return the exchange *name* as it is declared by now: *declared*, or what was there before."""
        kept = self._change(EXCHANGE + name, lambda present: present or asdict(declared))
        return Exchange(**(kept or {}))

    def delete_exchange(self, name: str) -> None:
        """Delete the exchange with its bindings; its queues stay."""
        self._state.delete(EXCHANGE + name)

    def queue(self, name: str) -> Queue | None:
        """Return the queue *name*; `None` if it is not declared, or was forgotten."""
        found = self._state.get_json(QUEUE + name)
        return None if found is None or found == GONE else Queue(**found)

    def queues(self, names: Iterable[str]) -> dict[str, Queue]:
        """Return those of the queues *names* that are declared, in one request."""
        found = self._state.get_many([QUEUE + name for name in names])
        records = {key.removeprefix(QUEUE): loads(value) for key, value in found.items()}
        return {name: Queue(**record) for name, record in records.items() if record != GONE}

    def declare_queue(self, name: str, declared: Queue) -> None:
        """Declare the queue; one that is there takes the arguments of *declared* and keeps its bindings."""
        fresh = {
            key: value for key, value in asdict(declared).items() if key not in {"exchanges", "consumers"}
        }

        def change(present: dict[str, Any] | None) -> dict[str, Any]:
            return {**(present or asdict(declared)), **fresh}

        self._change_queue(name, change)
        if declared.passes:
            self._change(PASSING, lambda present: {**(present or {}), name: 1})

    def keep(self, name: str) -> None:
        """Give a sign of life of the queue, if it is declared."""
        self._change_queue(name, lambda present: present)

    def delete_queue(self, name: str) -> bool:
        """Delete the queue with its bindings, and return whether it was declared."""
        queue = self.queue(name)
        if queue is None:
            return False
        for exchange in queue.exchanges:
            self._unbind(exchange, lambda bound, _: bound == name)
        self._forget([name])
        if queue.passes:
            self._change_queue(name, lambda _: GONE)
        else:
            self._state.delete(QUEUE + name)
        return True

    def bind(self, queue: str, exchange: str, routing_key: str) -> bool:
        """Bind the queue, and return whether the exchange is declared; else nothing is bound."""
        if self.exchange(exchange) is None:
            return False
        binding = [queue, routing_key]

        def add(present: dict[str, Any] | None) -> dict[str, Any]:
            record = present or asdict(BUILT_IN.get(exchange, Exchange()))
            bindings = record["bindings"]
            return record if binding in bindings else {**record, "bindings": [*bindings, binding]}

        def note(present: dict[str, Any] | None) -> dict[str, Any]:
            record = present or asdict(Queue())
            return {**record, "exchanges": sorted({*record["exchanges"], exchange})}

        self._change_queue(queue, note)
        self._change(EXCHANGE + exchange, add)
        return True

    def unbind(self, queue: str, exchange: str, routing_key: str) -> None:
        """Remove a binding; nothing happens if there is none."""
        self._unbind(exchange, lambda bound, key: (bound, key) == (queue, routing_key))

    def add_consumer(self, queue: str, ident: str) -> None:
        """Note a consumer of a queue that goes away with the last one."""
        self._change_consumers(queue, lambda present: sorted({*present, ident}))

    def remove_consumer(self, queue: str, ident: str) -> bool:
        """Remove a consumer, and return whether it was the last one of a queue with `auto_delete`."""
        found = self._change_consumers(queue, lambda present: [one for one in present if one != ident])
        return found is not None and found.auto_delete and not found.consumers

    def routed(self, exchange: str, routing_key: str) -> dict[str, Queue]:
        """Return the queues that a message to *exchange* reaches, and forget bindings to queues that are no more.

        The default exchange `""` reaches the queue that is named like the key, declared or not, unless it went away.
        """
        if not exchange:
            record = self._state.get_json(QUEUE + routing_key)
            return {} if record == GONE else {routing_key: Queue(**(record or {}))}
        found = self.exchange(exchange)
        names = found.routed(routing_key) if found else []
        declared = self.queues(names) if names else {}
        gone = set(names) - set(declared)
        if gone:
            self._unbind(exchange, lambda bound, _: bound in gone)
        return {name: declared[name] for name in names if name in declared}

    def forgotten(self) -> list[str]:
        """Return the queues that went away by themselves, each to one caller: their messages are to be removed."""
        passing = list(self._state.get_json(PASSING) or ())
        gone = sorted(set(passing) - set(self.queues(passing))) if passing else []
        if not gone or not self._forget(gone):
            return []
        for name in gone:
            self._change_queue(name, lambda present: present or GONE)
        return gone

    def _forget(self, names: list[str]) -> bool:
        """Remove *names* from the queues that go away, and return whether any of them was there."""
        removed: list[str] = []

        def remove(present: dict[str, Any] | None) -> dict[str, Any] | None:
            removed[:] = [name for name in names if name in (present or {})]
            return present and {name: 1 for name in present if name not in names}

        self._change(PASSING, remove)
        return bool(removed)

    def _unbind(self, exchange: str, matches: Callable[[str, str], bool]) -> None:
        def remove(present: dict[str, Any] | None) -> dict[str, Any] | None:
            if present is None:
                return None
            return {**present, "bindings": [one for one in present["bindings"] if not matches(*one)]}

        self._change(EXCHANGE + exchange, remove)

    def _change_consumers(self, queue: str, change: Callable[[list[str]], list[str]]) -> Queue | None:
        kept = self._change_queue(
            queue, lambda present: present and {**present, "consumers": change(present["consumers"])}
        )
        return None if kept is None else Queue(**kept)

    def _change_queue(self, name: str, change: Change) -> dict[str, Any] | None:
        return self._change(
            QUEUE + name, change, lambda record: GONE_S if record == GONE else Queue(**record).lasts_s
        )

    def _change(
        self,
        key: str,
        change: Change,
        ttl_s: Callable[[dict[str, Any]], float | None] = lambda _: None,
    ) -> dict[str, Any] | None:
        """Store what *change* makes of the record at *key*, and return it; a record with a time to live is renewed."""
        while True:
            item = self._state.get_item(key)
            present = None if item is None else loads(item.value)
            present = None if present == GONE else present
            wanted = change(present)
            ttl = None if wanted is None else ttl_s(wanted)
            if wanted is None or (wanted == present and ttl is None):
                return wanted
            try:
                self._state.put_json(key, wanted, ttl=ttl, if_etag=item.etag if item else "")
            except ConflictError:
                continue
            return wanted
