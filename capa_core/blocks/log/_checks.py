"""Checks of arguments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import cast

from capa_core.blocks.log.driver import LONGEST_NAME, OutgoingRecord, Partition
from capa_core.call.checks import check_printable
from capa_core.errors import InvalidArgumentError

LEAST_SESSION_S = 1.0
LONGEST_SESSION_S = 43_200.0


def check_name(what: str, name: object) -> str:
    """Return *name* if it can be a topic or a group on every engine.

    Raises:
        InvalidArgumentError: It is not 1 to 255 printable characters.
    """
    return check_printable(what, name, LONGEST_NAME)


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
    if partition is not None and (not isinstance(partition, int) or partition < 0):
        raise InvalidArgumentError(f"partition is {partition!r}: give a number from 0, or None")
    for name, value in cast("Mapping[object, object]", record.headers).items():
        if not isinstance(name, str) or not isinstance(value, bytes):
            raise InvalidArgumentError(f"header {name!r}: names are text and values bytes")
    return record


def epoch_seconds(value: datetime | float | None) -> float | None:
    """Return seconds since the epoch.

    Raises:
        InvalidArgumentError: *value* has no time zone, or is no time.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidArgumentError(f"{value!r} has no time zone: give datetime.now(UTC) or seconds")
        return value.timestamp()
    if value is not None and not isinstance(value, int | float):
        raise InvalidArgumentError(f"{value!r} is no time: give a datetime or seconds since the epoch")
    return value


def check_offsets(offsets: Mapping[Partition, int]) -> None:
    """Refuse offsets that are none.

    Raises:
        InvalidArgumentError: One is no whole number from 0.
    """
    given: Mapping[Partition, object] = offsets
    for (topic, number), offset in given.items():
        if not isinstance(offset, int) or offset < 0:
            raise InvalidArgumentError(
                f"{topic}/{number}: offset {offset!r} is none. Give a whole number from 0"
            )
