"""Logs: records appended to partitions, which stay after they were read; consumers have positions and can seek."""

from capa_core.block import Block, Closing
from capa_core.blocks.log._consumer import LogConsumer, LogReader, PartitionsHandler
from capa_core.blocks.log._portable import AppendResult, Log
from capa_core.blocks.log.driver import (
    AssignmentListener,
    Bounds,
    Commit,
    LogConsumerDriver,
    LogDriver,
    LogFeature,
    LogLimits,
    OutgoingRecord,
    Partition,
    Position,
    Record,
    Start,
)
from capa_core.blocks.log.inspection import GroupStatus, PartitionStatus, TopicStatus

__all__ = [
    "BLOCK",
    "AppendResult",
    "AssignmentListener",
    "Bounds",
    "Commit",
    "GroupStatus",
    "Log",
    "LogConsumer",
    "LogConsumerDriver",
    "LogDriver",
    "LogFeature",
    "LogLimits",
    "LogReader",
    "OutgoingRecord",
    "Partition",
    "PartitionStatus",
    "PartitionsHandler",
    "Position",
    "Record",
    "Start",
    "TopicStatus",
]

BLOCK = Block(
    name="log",
    portable=Log,
    driver=LogDriver,
    features=LogFeature,
    embedded="sqlite",
    closing=Closing.INTAKE,
    face=("Log",),
    in_client=False,
)
