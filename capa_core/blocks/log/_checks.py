"""Checks of arguments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import cast

from capa_core.blocks.log.driver import LONGEST_NAME, Bounds, OutgoingRecord, Partition
from capa_core.call.checks import check_printable, check_unicode
from capa_core.errors import InvalidArgumentError

LEAST_SESSION_S = 1.0
LONGEST_SESSION_S = 43_200.0
LARGEST_OFFSET = 2**63 - 1
_LARGEST_NUMBER = 2**31 - 1
_EARLIEST_S = -62_135_596_800.0
_LATEST_S = 253_402_300_800.0
"""The years 1 to 9999, those of `datetime`."""


def check_name(subject: str, name: object) -> str:
    """Return *name* if it can be a topic or a group on every engine.

    Raises:
        InvalidArgumentError: It is not 1 to 255 printable characters.
    """
    return check_printable(subject, name, LONGEST_NAME)


def check_topics(topics: object) -> list[str]:
    """Return the names of *topics*, one or several.

    Raises:
        InvalidArgumentError: They are no names, or there are none.
    """
    given: object = [topics] if isinstance(topics, str) else topics
    if not isinstance(given, Iterable):
        raise InvalidArgumentError(f"topics are {topics!r}: give one name, or several")
    names = [check_name("topic", name) for name in cast("Iterable[object]", given)]
    if not names:
        raise InvalidArgumentError("no topics: give one, or several")
    return names


def check_record(record: OutgoingRecord) -> OutgoingRecord:
    """Return *record* if each field can be stored.

    Raises:
        InvalidArgumentError: One cannot; the message names it.
    """
    if not isinstance(record.value, bytes):
        raise InvalidArgumentError(f"a value is bytes, not {type(record.value).__name__}. Encode it first")
    if record.key is not None and not isinstance(record.key, bytes):
        raise InvalidArgumentError(
            f"a key is bytes or None, not {type(record.key).__name__}. Encode it first"
        )
    partition: object = record.partition
    if partition is not None and not _is_whole(partition, _LARGEST_NUMBER):
        raise InvalidArgumentError(f"partition is {partition!r}: give a number from 0, or None")
    if record.timestamp is not None:
        _check_seconds(record.timestamp)
    headers: object = record.headers
    if not isinstance(headers, Mapping):
        raise InvalidArgumentError(f"headers are {headers!r}: give a mapping of names to bytes")
    for name, value in cast("Mapping[object, object]", headers).items():
        if not isinstance(name, str) or not isinstance(value, bytes):
            raise InvalidArgumentError(f"header {name!r}: names are text and values bytes")
        check_unicode("the name of a header", name)
    return record


def epoch_seconds(value: datetime | float | None) -> float | None:
    """Return seconds since the epoch.

    Raises:
        InvalidArgumentError: *value* has no time zone, or is not a time within the years 1 to 9999.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidArgumentError(f"{value!r} has no time zone: give datetime.now(UTC) or seconds")
        return value.timestamp()
    return None if value is None else _check_seconds(value)


def check_partition(partition: object) -> Partition:
    """Return *partition* if it is a `Partition` that may exist.

    Raises:
        InvalidArgumentError: It is something else.
    """
    if isinstance(partition, Partition):
        topic: object = partition.topic
        if isinstance(topic, str) and _is_whole(partition.number, _LARGEST_NUMBER):
            return partition
    raise InvalidArgumentError(f"{partition!r} is not a partition: give a Partition of a topic and a number")


def check_partitions(partitions: object) -> list[Partition]:
    """Return *partitions* if each of them may exist.

    Raises:
        InvalidArgumentError: One is not a partition, or *partitions* is not a collection.
    """
    if isinstance(partitions, Partition) or not isinstance(partitions, Iterable):
        raise InvalidArgumentError(f"partitions are {partitions!r}: give a collection of Partition")
    return [check_partition(partition) for partition in cast("Iterable[object]", partitions)]


def numbered(topic: str, numbers: object) -> list[Partition]:
    """Return the partitions of *topic* with these *numbers*.

    Raises:
        InvalidArgumentError: One is not a number from 0, or *numbers* is not a collection.
    """
    if not isinstance(numbers, Iterable):
        raise InvalidArgumentError(f"partitions are {numbers!r}: give a collection of numbers")
    return [check_partition(Partition(topic, number)) for number in numbers]


def check_offset(partition: Partition, offset: object) -> int:
    """Return *offset* if it is a whole number that every engine can store.

    Raises:
        InvalidArgumentError: It is something else; the message names the partition.
    """
    if not _is_whole(offset, LARGEST_OFFSET):
        raise InvalidArgumentError(
            f"{partition.topic}/{partition.number}: {offset!r} is not an offset. "
            f"Give a whole number from 0 to {LARGEST_OFFSET}"
        )
    return cast("int", offset)


def check_offsets(offsets: Mapping[Partition, int]) -> None:
    """Check the partitions and the offsets of *offsets*.

    Raises:
        InvalidArgumentError: A key is not a partition, or a value not an offset.
    """
    for partition, offset in offsets.items():
        check_offset(check_partition(partition), offset)


def check_within(offsets: Mapping[Partition, int], bounds: Mapping[Partition, Bounds]) -> None:
    """Check that no offset is past the end of its partition, where it would hide the records that come next.

    Raises:
        InvalidArgumentError: One is; the message names the partition, the offset and the end.
    """
    for partition, offset in offsets.items():
        if partition in bounds and offset > bounds[partition].end:
            end = bounds[partition].end
            raise InvalidArgumentError(
                f"{partition.topic}/{partition.number}: offset {offset} is past the end {end}, and the records "
                f"before it would be skipped. Give at most {end}"
            )


def _check_seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _EARLIEST_S <= value < _LATEST_S:
        raise InvalidArgumentError(
            f"{value!r} is not a time: give a datetime, or seconds since the epoch within the years 1 to 9999"
        )
    return value


def _is_whole(value: object, largest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= largest
