"""Messages that one consumer holds, with their leases."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from capa_core.clocks import boot_time
from capa_core.components.aws._messages import Pulled

LONGEST_S = 43_200
"""Seconds from its delivery for which SQS hides a message in all, however often that is renewed."""


class Held:
    """The messages of one consumer that are leased. Safe for many threads.

    SQS itself would let a receipt of a lost lease delete the message of another: so this clock decides, and counts from
    a time before SQS has begun the lease.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leased: set[Pulled] = set()

    def begin(self, messages: Iterable[Pulled], asked_at: float, lease_s: float) -> None:
        """Hold *messages*, which SQS has given out after *asked_at* of the boot clock."""
        with self._lock:
            for one in messages:
                one.since, one.until = asked_at, asked_at + lease_s
                self._leased.add(one)

    def take(self, receipts: Sequence[object]) -> list[Pulled]:
        """Return those of *receipts* that are still held; they are not from now on."""
        now = boot_time()
        with self._lock:
            taken = [one for one in receipts if isinstance(one, Pulled) and one in self._leased]
            self._leased.difference_update(taken)
        return [one for one in taken if one.until > now]

    def put_back(self, messages: Iterable[Pulled]) -> None:
        """Hold *messages* again that `take` returned, and that could not be settled."""
        with self._lock:
            self._leased.update(messages)

    def alive(self, receipts: Sequence[object]) -> list[bool]:
        """Return which of *receipts* are held."""
        now = boot_time()
        with self._lock:
            return [isinstance(one, Pulled) and one in self._leased and one.until > now for one in receipts]

    def extend(self, messages: Iterable[Pulled], asked_at: float, lease_s: float) -> None:
        """Begin the leases of *messages* anew, as from *asked_at* of the boot clock."""
        with self._lock:
            for one in messages:
                one.until = min(asked_at + lease_s, one.since + LONGEST_S)

    def lose(self, messages: Iterable[Pulled]) -> None:
        """Hold *messages* no more."""
        with self._lock:
            self._leased.difference_update(messages)

    def all(self) -> list[Pulled]:
        """Return what is held now, oldest first."""
        now = boot_time()
        with self._lock:
            return sorted((one for one in self._leased if one.until > now), key=lambda one: one.since)

    def clear(self) -> None:
        """Hold nothing."""
        with self._lock:
            self._leased.clear()


def room_s(one: Pulled) -> float:
    """Return for how many seconds more SQS may hide *one*."""
    return one.since + LONGEST_S - boot_time()
