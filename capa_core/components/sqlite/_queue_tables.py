"""The queues of one file: each call is one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial

from capa_core.blocks.pubsub.driver import Delivery
from capa_core.blocks.pubsub.over_tables import QueueTables, Receipt
from capa_core.components.sqlite import _queue
from capa_core.components.sqlite._database import Database
from capa_core.components.sqlite._uptime import Connection
from capa_core.components.sqlite._wakeup import RECHECK_S, Listener, Wakeups
from capa_core.errors import DeadlineError, UnavailableError


class SqliteQueues(QueueTables):
    """The tables `queue` and `message` of a file (`_queue.py` explains them), and the signals about them.

    Args:
        leases: The same file as *database*, for leases: committed without an fsync, they are undone by a power cut,
            and the messages are redelivered, as is correct.
    """

    def __init__(self, database: Database, leases: Database, wakeups: Wakeups, *, abandoned_s: float) -> None:
        super().__init__(abandoned_s=abandoned_s)
        self._database = database
        self._leases = leases
        self._wakeups = wakeups
        self._is_shrinking = False

    def join(self, topic: str, group: str, life_s: float | None) -> int:
        """See `QueueTables.join`."""
        return self._database.write(lambda connection: _queue.join(connection, topic, group, life_s))

    def renew(self, queue: int, life_s: float) -> bool:
        """See `QueueTables.renew`."""
        return self._leases.write(lambda connection: _queue.live(connection, queue, life_s))

    def drop(self, queue: int) -> None:
        """See `QueueTables.drop`."""
        self._leases.write(lambda connection: _queue.drop(connection, queue))

    def lease(self, queue: int, most: int, lease_s: float) -> list[Delivery]:
        """See `QueueTables.lease`: a read looks first, without the lock of writers."""
        if self.due_in_s(queue) > 0:
            return []
        return self._leases.write(lambda connection: _queue.lease(connection, queue, most, lease_s))

    def due_in_s(self, queue: int) -> float:
        """See `QueueTables.due_in_s`."""

        def left_s(connection: Connection) -> float:
            at = _queue.next_at(connection, queue)
            return RECHECK_S if at is None else min(RECHECK_S, max(0.0, at - connection.now()))

        return self._database.read(left_s)

    def remove(self, receipts: Sequence[Receipt]) -> None:
        """See `QueueTables.remove`."""
        self._database.write(lambda connection: _queue.remove(connection, receipts))

    def hide(self, receipts: Sequence[Receipt], seconds: float) -> list[bool]:
        """See `QueueTables.hide`."""
        return self._leases.write(lambda connection: _queue.hide(connection, receipts, seconds))

    def release(self, receipts: Sequence[Receipt]) -> None:
        """See `QueueTables.release`."""
        self._leases.write(lambda connection: _queue.release(connection, receipts))

    def listen(self, topic: str) -> AbstractContextManager[Listener]:
        """See `QueueTables.listen`."""
        return self._wakeups.listen(topic)

    def wake(self, topic: str) -> None:
        """See `QueueTables.wake`."""
        self._wakeups.signal(topic)

    def tidy_some(self, most: int) -> bool:
        """See `QueueTables.tidy_some`: it also returns free space to the disk, at the latest when there is no more."""
        with suppress(UnavailableError, DeadlineError):  # other processes write
            more = self._leases.write(partial(_queue.tidy, most=most))
            if self._is_shrinking and not more:
                self._leases.checkpoint()
            self._is_shrinking = more
            return more
        return False
