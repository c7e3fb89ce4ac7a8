"""The queues of a PostgreSQL database: each call is one transaction, in as few round trips as it needs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial

import psycopg

from capa_core.blocks.pubsub.driver import OutgoingMessage
from capa_core.blocks.pubsub.over_tables import Leased, QueueTables, Receipt, sorted_out
from capa_core.components.postgres import _publishing, _queue
from capa_core.components.postgres._database import Database
from capa_core.components.postgres._notices import RECHECK_S, Listener, Notices


class PostgresQueues(QueueTables):
    """The tables `queue` and `message` of the schema (`_queue.py` explains them), and the notices about them.

    Leases are committed without waiting for the server's disk: after a crash the messages are redelivered, as is
    correct.
    """

    def __init__(self, database: Database, notices: Notices, *, abandoned_s: float) -> None:
        super().__init__(abandoned_s=abandoned_s)
        self._database = database
        self._notices = notices

    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> None:
        """Append *messages*, in their order by key, and wake the consumers of *topic*."""
        query, values = _publishing.statement(topic, messages)
        if any(message.key for message in messages) or not self._database.change(query, **values):
            self._database.transaction(lambda connection: _publishing.add(connection, topic, messages))
        self.wake(topic)

    def join(self, topic: str, group: str, life_s: float | None) -> int:
        """See `QueueTables.join`."""
        return self._database.transaction(lambda connection: _queue.join(connection, topic, group, life_s))

    def renew(self, queue: int, life_s: float) -> bool:
        """See `QueueTables.renew`."""
        return bool(self._database.run(_queue.RENEW, queue=queue, life_s=life_s))

    def drop(self, queue: int) -> None:
        """See `QueueTables.drop`."""
        self._database.transaction(partial(_queue.drop, queue=queue))

    def lease(self, queue: int, most: int, lease_s: float) -> Leased:
        """See `QueueTables.lease`."""
        foreign = 0
        while True:
            rows = self._database.run(_queue.LEASE, queue=queue, most=most, lease_s=float(lease_s))
            found = sorted_out(rows)
            foreign += found.foreign
            if found.gone:
                self.remove(found.gone)
            if found.deliveries or not found.gone:
                return Leased(found.deliveries, foreign)

    def due_in_s(self, queue: int) -> float:
        """See `QueueTables.due_in_s`."""
        ((due_in_s,),) = self._database.run(_queue.NEXT, queue=queue)
        return RECHECK_S if due_in_s is None else min(RECHECK_S, max(0.0, float(due_in_s)))

    def remove(self, receipts: Sequence[Receipt]) -> None:
        """See `QueueTables.remove`."""
        if any(receipt.key for receipt in receipts):
            self._database.transaction(partial(_queue.remove, receipts=receipts))
        else:
            self._database.change(_queue.REMOVE, **_queue.numbers_of(receipts))

    def hide(self, receipts: Sequence[Receipt], seconds: float) -> list[bool]:
        """See `QueueTables.hide`."""
        rows = self._database.run(_queue.HIDE, seconds=float(seconds), **_queue.numbers_of(receipts))
        held = set(rows)
        return [(receipt.seq, receipt.times) in held for receipt in receipts]

    def release(self, receipts: Sequence[Receipt]) -> None:
        """See `QueueTables.release`."""
        self._database.change(_queue.RELEASE, **_queue.numbers_of(receipts))

    def listen(self, topic: str) -> AbstractContextManager[Listener]:
        """See `QueueTables.listen`."""
        return self._notices.listen(topic)

    def wake(self, topic: str) -> None:
        """See `QueueTables.wake`."""
        self._notices.signal(topic)

    def tidy_some(self, most: int) -> bool:
        """See `QueueTables.tidy_some`."""
        with suppress(psycopg.Error):
            self._database.transaction(_queue.drop_abandoned)
            return self._database.transaction(partial(_queue.remove_expired, most=most)) == most
        return False
