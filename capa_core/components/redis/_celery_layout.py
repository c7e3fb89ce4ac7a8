"""The keys and messages of Celery's queues on Redis, as kombu's transport has them."""

from __future__ import annotations

import json
import re
from bisect import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from capa_core.errors import SettingsError

_LEASES = "_capa.celery.leases"
_MOVED = "_capa.celery.moved:"
_MOVER = "_capa.celery.mover:"
_MOST_STEPS = 10
_BINDINGS = "_kombu.binding."
_TOPIC = {"*": r"[^.]+", "#": r".*"}


@dataclass(frozen=True)
class CeleryLayout:
    """The names of keys, by the transport options of the application; the defaults are kombu's.

    Attributes:
        prefix: Begins every key.
        unacked: A hash of the messages that workers hold, by their delivery tags: `[message, exchange, routing key]`.
        index: A sorted set of their tags by the times since which they are held, in seconds.
        steps: The priorities that have a list of their own, rising; the first is the most urgent.
        visibility_s: Seconds after which a worker of Celery that has not settled a message is taken for dead.
    """

    prefix: str = ""
    unacked: str = "unacked"
    index: str = "unacked_index"
    separator: str = "\x06\x16"
    steps: tuple[int, ...] = (0, 3, 6, 9)
    visibility_s: float = 3600.0

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Return the layout with the `broker_transport_options` of an application; others of them have no meaning here.

        Raises:
            SettingsError: One of them has a value that cannot be.
        """
        try:
            steps = tuple(sorted({int(step) for step in options.get("priority_steps") or cls.steps}))
            visibility_s = float(options.get("visibility_timeout") or cls.visibility_s)
        except (TypeError, ValueError) as error:
            raise SettingsError(
                f"broker_transport_options: {error}. priority_steps are numbers, visibility_timeout is one. "
                "Correct the application's configuration."
            ) from error
        return cls(
            str(options.get("global_keyprefix") or ""),
            str(options.get("unacked_key") or cls.unacked),
            str(options.get("unacked_index_key") or cls.index),
            str(options.get("sep") or cls.separator),
            steps,
            visibility_s,
        )

    @property
    def holding(self) -> tuple[str, str, str]:
        """The keys of what workers hold: the messages, their times, and the leases of Capa's consumers among them."""
        return self.prefix + self.unacked, self.prefix + self.index, self.prefix + _LEASES

    def lists(self, queue: str) -> list[str]:
        """Return the lists of *queue*, the most urgent first."""
        return [self.list_of(queue, step) for step in self.steps]

    def list_of(self, queue: str, priority: int) -> str:
        """Return the list of *queue* for messages with *priority*, 0 to 9."""
        step = self.steps[max(0, bisect(self.steps, priority) - 1)]
        return f"{self.prefix}{queue}{self.separator}{step}" if step else f"{self.prefix}{queue}"

    def all_lists(self, queue: str) -> list[str]:
        """Return the lists of *queue* for any steps that an application of Celery may have, the most urgent first."""
        steps = sorted({*range(_MOST_STEPS), *self.steps})
        return [
            f"{self.prefix}{queue}{self.separator}{step}" if step else self.prefix + queue for step in steps
        ]

    def moving(self, queue: str) -> tuple[str, str]:
        """Return the keys of what is on its way out of *queue*: the messages, and who moves them."""
        return f"{self.prefix}{_MOVED}{queue}", f"{self.prefix}{_MOVER}{queue}"

    def bindings(self, exchange: str) -> str:
        """Return the set of the bindings of *exchange*."""
        return f"{self.prefix}{_BINDINGS}{exchange}"

    def exchange_of(self, bindings: str) -> str:
        """Return the exchange that a set of bindings is of."""
        return bindings.removeprefix(self.bindings(""))

    def queue_in(self, member: bytes) -> str:
        """Return the queue in a *member* of such a set."""
        _, _, rest = member.decode(errors="replace").partition(self.separator)
        return rest.partition(self.separator)[2]

    def bound(self, members: Iterable[bytes], routing_key: str) -> list[str]:
        """Return the queues among *members* of such a set that a message with *routing_key* goes to."""
        found = []
        for member in members:
            key, _, _ = member.decode(errors="replace").partition(self.separator)
            if key == routing_key or re.fullmatch(_pattern(key), routing_key):
                found.append(self.queue_in(member))
        return found


@dataclass(frozen=True, slots=True)
class HeldMessage:
    """A message that a worker holds, as it goes back to the lists: marked as delivered before.

    Attributes:
        is_of_group: Whether its task is one of a group, and so perhaps of the header of a chord.
    """

    payload: bytes
    exchange: str
    routing_key: str
    priority: int
    is_of_group: bool

    @classmethod
    def of(cls, held: bytes) -> HeldMessage | None:
        """Return what was written about a held message; `None` if another program wrote something else there."""
        try:
            message, exchange, routing_key = json.loads(held)
            payload = message.encode("latin-1") if isinstance(message, str) else json.dumps(message).encode()
        except (ValueError, TypeError, RecursionError):
            return None
        return cls(
            again(payload),
            str(exchange or ""),
            str(routing_key or ""),
            priority_of(message),
            _is_of_group(message),
        )


def is_of_group(payload: bytes) -> bool:
    """Return whether a message is of a task of a group."""
    try:
        return _is_of_group(json.loads(payload))
    except (ValueError, RecursionError):
        return False


def _is_of_group(message: object) -> bool:
    return bool(_in(message, "headers", "group"))


def _in(value: object, *names: str) -> object:
    """Return the value at a path of names; `None` where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def again(payload: bytes) -> bytes:
    """Return the message marked as delivered before; unchanged if it is none of Celery's."""
    try:
        message = json.loads(payload)
        message["headers"]["redelivered"] = True
        message["properties"]["delivery_info"]["redelivered"] = True
    except (ValueError, TypeError, KeyError, RecursionError):
        return payload
    return json.dumps(message).encode()


def tag_and_eta(payload: bytes) -> tuple[str, str]:
    """Return the delivery tag and the ETA of a message, `""` where there is none or another program's."""
    message = json.loads(payload)
    found = _in(message, "properties", "delivery_tag"), _in(message, "headers", "eta")
    tag, eta = (value if isinstance(value, str) else "" for value in found)
    return tag, eta


def priority_of(message: object) -> int:
    """Return the priority in a message, 0 to 9; 0 where there is none."""
    try:
        return max(0, min(9, int(str(_in(message, "properties", "priority")))))
    except ValueError:
        return 0


def _pattern(key: str) -> str:
    return r"\.".join(_TOPIC.get(word) or re.escape(word) for word in key.split("."))
