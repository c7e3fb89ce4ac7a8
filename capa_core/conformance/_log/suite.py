"""Fixtures of the suite, and functions that its tests share."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import uuid4

import pytest

from capa_core.blocks.log import Log, LogConsumer, LogDriver, LogFeature, LogReader, Partition, Record
from capa_core.conformance._tolerance import PATIENCE_S


class Suite:
    """The fixtures of every test."""

    @pytest.fixture
    def driver(self) -> Iterator[LogDriver[Any]]:
        """Yield the driver under test. The user's class overrides this."""
        raise NotImplementedError("override the fixture `driver` and yield a driver to test")

    @pytest.fixture
    def log(self, driver: LogDriver[Any]) -> Iterator[Log]:
        """Yield the portable type over the driver."""
        log = Log(driver, name="suite")
        yield log
        log.close()

    @pytest.fixture
    def topic(self) -> str:
        """Return a name that no other test uses, with characters that an engine may have to escape."""
        return f"Bestellung/{{ü}}:*?[1] 注文 {uuid4().hex[:8]}"


def poll(consumer: LogConsumer | LogReader, count: int, timeout_s: float = PATIENCE_S) -> list[Record]:
    """Poll until there are *count* records or *timeout_s* is over."""
    end = time.monotonic() + timeout_s
    records: list[Record] = []
    while len(records) < count and (left_s := end - time.monotonic()) > 0:
        records += consumer.poll(count - len(records), left_s)
    return records


def poll_all(consumer: LogConsumer | LogReader, count: int = 1) -> list[Record]:
    """Poll *count* records, and those that come too although the test expects no more."""
    return [*poll(consumer, count), *consumer.poll(1, 0.3)]


def values(records: Sequence[Record]) -> list[bytes]:
    """Return the values in the order polled."""
    return [record.value for record in records]


def balance(*consumers: LogConsumer, within_s: float = PATIENCE_S) -> None:
    """Let each of *consumers* poll, with everything paused, until all have partitions and none has most."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        for consumer in consumers:
            consumer.pause(consumer.assignment)
            assert [] == consumer.poll(1, 0.05) or not consumer.assignment
        sizes = sorted(len(consumer.assignment) for consumer in consumers)
        if sizes[0] > 0 and sizes[-1] - sizes[0] <= 1:
            break
    for consumer in consumers:
        consumer.resume(consumer.assignment)


def assigned(consumer: LogConsumer, within_s: float = PATIENCE_S) -> frozenset[Partition]:
    """Poll an empty topic until *consumer* has partitions, and return them."""
    end = time.monotonic() + within_s
    while not consumer.assignment and time.monotonic() < end:
        assert [] == consumer.poll(1, 0.05)
    return consumer.assignment


def needs(driver: LogDriver[Any], feature: LogFeature) -> None:
    """Skip a test of an ability that the component declares absent."""
    support = driver.features[feature]
    if not support:
        pytest.skip(f"no {feature}: {support.note}")
