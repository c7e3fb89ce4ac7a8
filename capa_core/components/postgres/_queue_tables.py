"""The queues of a PostgreSQL database: each call is one transaction, in as few round trips as it needs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial

import psycopg

from capa_core.blocks.pubsub.driver import Delivery, OutgoingMessage
from capa_core.blocks.pubsub.over_tables import QueueTables, Receipt, sorted_out
from capa_core.components.postgres import _publishing, _queue, _waiting
from capa_core.components.postgres._database import Database
from capa_core.components.postgres._notices import RECHECK_S, Notices
from capa_core.components.postgres._timed import Row
from capa_core.components.postgres._waiting import Waiter, Waiting

_GENERAL_S = 5.0
"""For how long a topic in which the plain statement found nothing to do is left to the general one."""
_MOST_TOPICS = 10_000


class PostgresQueues(QueueTables):
    """The tables `queue` and `message` of the schema (`_queue.py` explains them), and the notices about them.

    Leases are committed without waiting for the server's disk: after a crash the messages are redelivered, as is
    correct.
    """

    def __init__(self, database: Database, notices: Notices, *, abandoned_s: float) -> None:
        super().__init__(abandoned_s=abandoned_s)
        self._database = database
        self._notices = notices
        self._waiting = Waiting(database, notices)
        self._general_until: dict[str, float] = {}

    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[bool]:
        """Append *messages*, in their order by key, and wake the consumers of *topic*.

        Returns for each whether it was appended: not if its id was published before, and it asks for that check.
        """
        added = self._added(topic, messages)
        is_new = [True] * len(messages)
        if not added:
            is_new = self._database.transaction(partial(_publishing.add_new, topic=topic, messages=messages))
        self._notices.signal(topic, elsewhere=not added or added[0][0])
        return is_new

    def _added(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[Row]:
        """Append *messages* by one statement, and return its rows; none if they, or the topic, need more."""
        if _publishing.is_plain(messages) and self._general_until.get(topic, 0.0) <= time.monotonic():
            query, values = _publishing.plain_statement(topic, messages[0])
            if added := self._database.run(query, **values):
                return added
            if len(self._general_until) >= _MOST_TOPICS:  # names made up at run time
                self._general_until.clear()
            self._general_until[topic] = time.monotonic() + _GENERAL_S
        if any(message.key or message.once_s for message in messages):
            return []
        query, values = _publishing.statement(topic, messages)
        return self._database.run(query, **values)

    def join(self, topic: str, group: str, life_s: float | None) -> int:
        """See `QueueTables.join`."""
        return self._database.transaction(lambda connection: _queue.join(connection, topic, group, life_s))

    def renew(self, queue: int, life_s: float) -> bool:
        """See `QueueTables.renew`."""
        return bool(self._database.run(_queue.RENEW, queue=queue, life_s=life_s))

    def drop(self, queue: int) -> None:
        """See `QueueTables.drop`."""
        self._database.transaction(partial(_queue.drop, queue=queue))

    def lease(self, queue: int, most: int, lease_s: float) -> list[Delivery]:
        """See `QueueTables.lease`."""
        while True:
            rows = self._database.run(_queue.LEASE, queue=queue, most=most, lease_s=float(lease_s))
            found = sorted_out(rows)
            if found.gone:
                self.remove(found.gone)
            if found.deliveries or not found.gone:
                return found.deliveries

    def due_in_s(self, queue: int) -> float:
        """See `QueueTables.due_in_s`."""
        ((due_in_s,),) = self._database.run(_queue.NEXT, queue=queue)
        return RECHECK_S if due_in_s is None else min(RECHECK_S, max(0.0, float(due_in_s)))

    def remove(self, receipts: Sequence[Receipt]) -> None:
        """See `QueueTables.remove`."""
        removals = _queue.removals(receipts)
        if len(removals) > 1 or any(receipt.key for receipt in receipts):
            self._database.transaction(partial(_queue.remove, receipts=receipts))
            return
        for query, values in removals:
            self._database.change(query, **values)

    def hide(self, receipts: Sequence[Receipt], seconds: float) -> list[bool]:
        """See `QueueTables.hide`."""
        rows = self._database.run(_queue.HIDE, seconds=float(seconds), **_queue.numbers_of(receipts))
        held = set(rows)
        return [(receipt.seq, receipt.times) in held for receipt in receipts]

    def release(self, receipts: Sequence[Receipt]) -> None:
        """See `QueueTables.release`."""
        self._database.change(_queue.RELEASE, **_queue.numbers_of(receipts))

    def listen(self, topic: str) -> AbstractContextManager[Waiter]:
        """See `QueueTables.listen`."""
        return self._waiting.listen(topic)

    def wake(self, topic: str) -> None:
        """See `QueueTables.wake`."""
        self._notices.signal(topic)

    def tidy_some(self, most: int) -> bool:
        """See `QueueTables.tidy_some`."""
        with suppress(psycopg.Error):
            self._database.transaction(_queue.drop_abandoned)
            removed = self._database.transaction(partial(_queue.remove_expired, most=most))
            forgotten = self._database.change(_publishing.FORGET, most=most)
            self._database.change(_waiting.FORGET)
            return most in (removed, forgotten)
        return False
