"""Appending: an idempotent producer, and the report on each record."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from capa_core.blocks.log.driver import OutgoingRecord, Partition, Position
from capa_core.components.kafka._client import Lazy
from capa_core.components.kafka._errors import RefusedError, error_in
from capa_core.components.kafka._settings import KafkaSettings
from capa_core.errors import CapaError, InvalidArgumentError, UnavailableError

_SLICE_S = 0.1
_MORE_S = 2.0
"""The producer itself gives up after the time of a call; its report may come a little later."""


class Appender:
    """Appends for many threads. One of those that wait serves the reports for all."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._within_s = settings.timeout_s
        self._reported = threading.Condition()
        self._is_served = False
        self.client: Lazy[Producer] = Lazy(
            Producer,
            settings,
            **{
                "enable.idempotence": True,  # with acks=all: stored on all replicas in sync, once, and in order
                "linger.ms": 0,  # who appends one record waits for it
                "message.timeout.ms": int(settings.timeout_s * 1000),
                # As Java's producers choose partitions by key, and each record without key for itself.
                "partitioner": "murmur2_random",
                "sticky.partitioning.linger.ms": 0,
            },
        )

    def append(self, topic: str, name: str, records: Sequence[OutgoingRecord]) -> list[Position | CapaError]:
        """Store *records* in *topic*, which is *name* in Kafka; return the position, or the error, of each.

        Raises:
            RefusedError: None of them is stored, for the error of the first.
        """
        producer = self.client.get()
        self.client.trouble.error = None
        batch = _Batch(topic, len(records))
        for place, fields in enumerate([_fields(record) for record in records]):
            self._send(producer, name, fields, partial(batch.settle, place))
        self._wait(producer, batch)
        if batch.is_stored():
            return cast("list[Position | CapaError]", batch.reports)
        outcomes = [self._outcome(producer, topic, each) for each in batch.reports]
        failed = [each for each in outcomes if isinstance(each, RefusedError)]
        if len(failed) == len(outcomes):
            raise failed[0]
        return [each.kind(str(each)) if isinstance(each, RefusedError) else each for each in outcomes]

    def forget(self) -> None:
        """Leave the producer to the parent, in a forked child."""
        self._reported = threading.Condition()
        self._is_served = False
        self.client.forget()

    def _send(
        self, producer: Producer, name: str, fields: dict[str, Any], settle: Callable[..., None]
    ) -> None:
        while True:
            try:
                producer.produce(name, on_delivery=settle, **fields)
            except BufferError:  # what waits in the producer is as much as it may be
                producer.poll(_SLICE_S)
                continue
            except KafkaException as error:
                settle(error_in(error), None)
            return

    def _wait(self, producer: Producer, batch: _Batch) -> None:
        end = time.monotonic() + self._within_s + _MORE_S
        while not batch.is_settled() and time.monotonic() < end:
            self.client.trouble.check()
            with self._reported:
                if self._is_served:
                    self._reported.wait(_SLICE_S)
                    continue
                self._is_served = True
            try:
                producer.poll(_SLICE_S)
            finally:
                with self._reported:
                    self._is_served = False
                    self._reported.notify_all()

    def _outcome(
        self, producer: Producer, topic: str, report: Position | KafkaError | None
    ) -> Position | RefusedError:
        if isinstance(report, Position):
            return report
        if report is None:
            return self.client.trouble.refusal(_NO_REPORT, f"topic {topic!r}")
        if report.fatal() or report.code() == KafkaError._FATAL:
            self.client.replace(producer)
            return RefusedError(UnavailableError, f"topic {topic!r}: {report.str()}", report.code())
        if report.code() == KafkaError._UNKNOWN_PARTITION:
            return RefusedError(
                InvalidArgumentError,
                f"topic {topic!r} has no such partition. `partitions` names those that it has",
                report.code(),
            )
        return self.client.trouble.refusal(report, f"topic {topic!r}")


_NO_REPORT = KafkaError(KafkaError._TIMED_OUT, "no answer in time")


class _Batch:
    """The reports on the records of one call."""

    def __init__(self, topic: str, count: int) -> None:
        self._topic = topic
        self._partitions: dict[int, Partition] = {}
        self._settled: list[int] = []  # a number would need a lock
        self.reports: list[Position | KafkaError | None] = [None] * count

    def settle(self, place: int, error: KafkaError | None, message: Message | None) -> None:
        """Take the report on the record at *place*."""
        if error is None and message is not None:
            number = message.partition()
            partition = self._partitions.get(number) or Partition(self._topic, number)
            self._partitions[number] = partition
            self.reports[place] = Position(partition, message.offset())
        else:
            self.reports[place] = error
        self._settled.append(place)

    def is_settled(self) -> bool:
        """Return whether all reports are there."""
        return len(self._settled) == len(self.reports)

    def is_stored(self) -> bool:
        """Return whether all records are stored."""
        return all(type(report) is Position for report in self.reports)


def _fields(record: OutgoingRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {"value": record.value}
    if record.key is not None:
        fields["key"] = record.key
    if record.headers:
        fields["headers"] = list(record.headers.items())
    if record.partition is not None:
        fields["partition"] = record.partition
    if record.timestamp is not None:
        if record.timestamp < 0:
            raise InvalidArgumentError(f"a record of {record.timestamp} s: Kafka has no times before 1970")
        fields["timestamp"] = max(1, int(record.timestamp * 1000))  # 0 means now
    return fields
