"""Pub/sub over the logs that need no server, as a driver of an outside log has it."""

from capa_core.blocks.pubsub.over_log import QueueOverLog
from capa_core.components.memory.log import MemoryLog, MemoryLogSettings
from capa_core.components.sqlite.log import SqliteLog, SqliteLogSettings


class MemoryLogPubSub(QueueOverLog[MemoryLogSettings]):
    log_type = MemoryLog


class SqliteLogPubSub(QueueOverLog[SqliteLogSettings]):
    log_type = SqliteLog
