"""Values of an inspection: the partitions of a topic, and how far its groups have come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionStatus:
    """One partition of a topic at one moment.

    Attributes:
        first: The offset of the oldest record that there is.
        end: The offset of the next record to be appended.
    """

    number: int
    first: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStatus:
    """The progress of one group in a topic at one moment.

    Attributes:
        committed: By number of the partition, the offset of the next record to read.
        lag_by_partition: By number of the partition, how many records it has not committed.
    """

    name: str
    committed: Mapping[int, int]
    lag_by_partition: Mapping[int, int]

    @property
    def lag(self) -> int:
        """How many records it has not committed, in all partitions together."""
        return sum(self.lag_by_partition.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicStatus:
    """One topic at one moment; without partitions if it does not exist.

    Attributes:
        partitions: By number.
        groups: By name.
    """

    name: str
    partitions: tuple[PartitionStatus, ...] = ()
    groups: tuple[GroupStatus, ...] = ()

    @property
    def lag(self) -> int:
        """The lag of the group that has most to read; 0 without groups."""
        return max((group.lag for group in self.groups), default=0)
