"""Queues in the tables of a database: the part that is the same in each of them.

A row stands for each topic and group, and one for each message of each of these. An engine implements `QueueTables`
with its SQL, and its driver hands them to a consumer:

    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        return TableConsumer(self._tables, topic, group, lease_s=lease_s, temporary=temporary)
"""

from capa_core.blocks.pubsub.over_tables._consumer import TableConsumer
from capa_core.blocks.pubsub.over_tables._rows import (
    LeasedRow,
    PeekedRow,
    Receipt,
    peeked,
    sorted_out,
    state_sql,
)
from capa_core.blocks.pubsub.over_tables._tables import QueueTables

__all__ = [
    "LeasedRow",
    "PeekedRow",
    "QueueTables",
    "Receipt",
    "TableConsumer",
    "peeked",
    "sorted_out",
    "state_sql",
]
