"""Consumers on a queue: the messages that each may hold, and those of a channel that are not settled."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from itertools import count


class Windows:
    """The consumers of one channel, by name. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names = count()
        self._sizes: dict[str, int] = {}
        self._used = 0
        self._unsettled: OrderedDict[int, str] = OrderedDict()

    def __len__(self) -> int:
        """Return how many consumers there are."""
        return len(self._sizes)

    def free(self) -> int:
        """Return how many messages more may come."""
        with self._lock:
            return sum(self._sizes.values()) - self._used

    def add(self, size: int) -> str:
        """Return the name of a new consumer that may hold *size* messages."""
        with self._lock:
            name = f"capa-{next(self._names)}"
            self._sizes[name] = size
        return name

    def remove(self, name: str) -> bool:
        """Remove the consumer *name*, and return whether there was one."""
        with self._lock:
            if name not in self._sizes:
                return False
            del self._sizes[name]
            self._used = sum(each in self._sizes for each in self._unsettled.values())
            return True

    def leave(self) -> list[str]:
        """Return the names of all consumers; there are none from now on."""
        with self._lock:
            names = list(self._sizes)
            self._sizes, self._used = {}, 0
        return names

    def came(self, tag: int, name: str = "") -> None:
        """Note that the message *tag* came to the consumer *name*."""
        with self._lock:
            self._unsettled[tag] = name
            self._used += name in self._sizes

    def settle(self, tags: Sequence[int]) -> tuple[int, Sequence[int]]:
        """Note that *tags*, in ascending order, are settled.

        Returns the one up to which all are settled now, 0 for none, and those of *tags* above it.
        """
        with self._lock:
            for tag in tags:
                self._used -= self._unsettled.pop(tag, "") in self._sizes
            lowest = next(iter(self._unsettled), tags[-1] + 1)
        below = [tag for tag in tags if tag < lowest]
        return (below[-1] if below else 0), tags[len(below) :]
