"""The contract of queues in tables."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from capa_core.blocks.pubsub.driver import Delivery
from capa_core.blocks.pubsub.over_tables._rows import Receipt

TIDY_PAUSE_S = 5.0
_TIDY_SOON_S = 0.05
_TIDY_BATCH = 500


class Listener(Protocol):
    """One who waits for messages of one topic."""

    def wait(self, timeout_s: float, /) -> object:
        """Return when there was a wake-up since the last wait or the begin, or after *timeout_s*."""


class QueueTables(ABC):
    """The queues of one engine. Safe for many threads.

    A queue has a number that is never used again: the consumer of one that was dropped must not find another's.

    Attributes:
        abandoned_s: Seconds after the last heartbeat of its consumer at which a temporary queue may be dropped.
    """

    def __init__(self, *, abandoned_s: float) -> None:
        self.abandoned_s = abandoned_s
        self._next_tidy = 0.0

    @abstractmethod
    def join(self, topic: str, group: str, life_s: float | None) -> int:
        """Return the queue of *group*, created if necessary; the first permanent one gets the waiting messages.

        Args:
            life_s: Seconds until a temporary group is removed unless it is renewed; `None` for a permanent group.
        """

    @abstractmethod
    def renew(self, queue: int, life_s: float) -> bool:
        """Let a temporary queue live for *life_s* from now; return whether it still exists."""

    @abstractmethod
    def drop(self, queue: int) -> None:
        """Delete a queue with its messages."""

    @abstractmethod
    def lease(self, queue: int, most: int, lease_s: float) -> list[Delivery]:
        """Hide up to *most* available messages for *lease_s* and return them, the most urgent first.

        Expired messages are removed instead (`sorted_out`); none of them *may* be the reason
        for which nothing is returned.

        Raises:
            DeadlineError: Others wrote all the time. Nothing was leased.
        """

    @abstractmethod
    def due_in_s(self, queue: int) -> float:
        """Return the seconds until a message may become available; at most those after which wake-ups need a look."""

    @abstractmethod
    def remove(self, receipts: Sequence[Receipt]) -> None:
        """Delete those messages that were not redelivered, on disk, and make the next ones of their keys available."""

    @abstractmethod
    def hide(self, receipts: Sequence[Receipt], seconds: float) -> list[bool]:
        """Hide messages for *seconds*, or show them if 0; return for each whether its receipt is current."""

    @abstractmethod
    def release(self, receipts: Sequence[Receipt]) -> None:
        """Make those messages that were not redelivered available as if they had not been delivered."""

    @abstractmethod
    def listen(self, topic: str) -> AbstractContextManager[Listener]:
        """Hear of changes of *topic* from now on."""

    @abstractmethod
    def wake(self, topic: str) -> None:
        """Wake the listeners of *topic*, in all processes. A hint: it *must not* raise because it cannot be sent."""

    def tidy(self) -> None:
        """Remove what expired or was abandoned, if it is time for that: soon again while there is more."""
        now = time.monotonic()
        if now < self._next_tidy:
            return
        self._next_tidy = now + TIDY_PAUSE_S
        if self.tidy_some(_TIDY_BATCH):
            self._next_tidy = now + _TIDY_SOON_S

    @abstractmethod
    def tidy_some(self, most: int) -> bool:
        """Remove up to *most* rows that expired or were abandoned; return whether there may be more.

        It *must not* raise an error of the engine: the caller's own work is done.
        """
