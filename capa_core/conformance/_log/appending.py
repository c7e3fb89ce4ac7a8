"""Records: stored unchanged and in order, at positions that stay."""

from __future__ import annotations

import math
import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from capa_core.blocks.log import Bounds, Log, LogDriver, LogFeature, OutgoingRecord
from capa_core.conformance._log.suite import Suite, poll, poll_all, values
from capa_core.errors import InvalidArgumentError, NotFoundError, UnsupportedError


class AppendingPromises(Suite):
    """The promises of `append`, `append_many`, `partitions`, `bounds` and `truncate`."""

    def test_every_ability_is_declared(self, driver: LogDriver[Any]) -> None:
        assert set(LogFeature) == set(driver.features)

    def test_the_engine_answers_a_ping(self, log: Log) -> None:
        assert 1 == len(log.ping().splitlines())

    def test_a_record_arrives_whole(self, log: Log, topic: str) -> None:
        headers = {"tenant": "Zürich".encode(), "empty": b"", "bytes": b"\x00\xff"}
        at = datetime(2024, 2, 29, 12, 30, 0, 250_000, tzinfo=UTC)
        position = log.append(topic, b"\x00\xff", key=b"\x01k", headers=headers, timestamp=at)
        (record,) = poll(log.reader(topic), 1)

        assert (position.partition, position.offset) == (record.partition, record.offset)
        assert (b"\x00\xff", b"\x01k", headers) == (record.value, record.key, dict(record.headers))
        assert abs(at.timestamp() - record.timestamp) < 0.002

    def test_a_record_without_key_has_none_and_the_time_of_now(self, log: Log, topic: str) -> None:
        log.append(topic, b"")
        (record,) = poll(log.reader(topic), 1)

        assert (b"", None, {}) == (record.value, record.key, dict(record.headers))
        assert abs(time.time() - record.timestamp) < 10

    def test_an_empty_key_is_a_key(self, log: Log, topic: str) -> None:
        log.append(topic, b"x", key=b"")

        assert [b""] == [record.key for record in poll(log.reader(topic), 1)]

    @pytest.mark.parametrize("value", [bytes(range(256)), b"x" * 900_000], ids=["every byte", "900 kB"])
    def test_any_value_arrives_unchanged(self, log: Log, topic: str, value: bytes) -> None:
        log.append(topic, value)

        assert [value] == values(poll(log.reader(topic), 1))

    def test_records_of_one_key_stay_in_order(self, log: Log, topic: str) -> None:
        """They are in one partition, at rising offsets."""
        results = log.append_many(
            topic, [OutgoingRecord(b"%d" % number, key=b"k%d" % (number % 3)) for number in range(60)]
        )
        places = [result.position for result in results if result.position]
        records = poll(log.reader(topic), 60)

        assert 60 == len(places)
        for key in range(3):
            mine = places[key::3]
            assert 1 == len({place.partition for place in mine})
            assert [place.offset for place in mine] == sorted({place.offset for place in mine})
            expected = [b"%d" % number for number in range(60) if number % 3 == key]
            assert expected == values([record for record in records if record.key == b"k%d" % key])

    def test_records_without_key_are_spread(self, log: Log, topic: str) -> None:
        """They are in all partitions, of which there are at least two."""
        log.append_many(topic, [b"x"] * 200)
        used = {record.partition for record in poll(log.reader(topic), 200)}

        assert 2 <= len(log.partitions(topic))
        assert set(log.partitions(topic)) == used

    def test_a_record_goes_to_the_partition_that_is_asked_for(self, log: Log, topic: str) -> None:
        position = log.append(topic, b"x", key=b"k", partition=1)

        assert (topic, 1) == tuple(position.partition)

    def test_a_partition_that_does_not_exist_is_refused(self, log: Log, topic: str) -> None:
        log.append(topic, b"x")
        with pytest.raises(InvalidArgumentError):
            log.append(topic, b"x", partition=100_000)

        assert 1 == sum(bounds.end for bounds in log.bounds(topic).values())

    def test_bounds_grow_with_each_record(self, log: Log, topic: str) -> None:
        first = log.append(topic, b"1", partition=0)
        second = log.append(topic, b"2", partition=0)

        assert second.offset > first.offset
        assert Bounds(first.offset, second.offset + 1) == log.bounds(topic)[first.partition]

    def test_an_unknown_topic_has_no_partitions(self, log: Log, topic: str) -> None:
        """The calls do not create it."""
        assert ([], {}, [], {}) == (
            log.partitions(topic),
            log.bounds(topic),
            log.groups(topic),
            log.committed(topic),
        )
        assert {} == log.lag(topic)
        with pytest.raises(NotFoundError):
            log.reader(topic)

    def test_a_topic_may_be_created_before_its_first_record(self, log: Log, topic: str) -> None:
        """Creating it again changes nothing."""
        made = log.create_topic(topic)
        log.append(topic, b"x")

        assert made == log.create_topic(topic) == log.partitions(topic)
        assert [b"x"] == values(poll(log.reader(topic), 1))

    def test_topics_are_listed(self, log: Log, topic: str) -> None:
        """Each is listed once; the call is refused if the driver declares it absent."""
        names = [f"{topic}.{number}" for number in range(3)]
        for name in names:
            log.append_many(name, [b"x"] * 2)
        if not log.features[LogFeature.INSPECT]:
            with pytest.raises(UnsupportedError):
                log.topics()
            return

        assert sorted(names) == sorted(name for name in log.topics() if name.startswith(topic))
        assert "topics" in log.summary()

    def test_an_empty_batch_has_no_results(self, log: Log, topic: str) -> None:
        assert [] == log.append_many(topic, [])

    def test_topics_are_separate(self, log: Log, topic: str) -> None:
        log.append(f"{topic}.other", b"other")
        log.append(topic, b"mine")
        reader = log.reader(topic)

        assert [b"mine"] == values(poll_all(reader))

    def test_many_threads_append_at_once(self, log: Log, topic: str) -> None:
        """No record is lost, and no two records have the same position."""
        places: list[object] = []

        def append(worker: int) -> None:
            places.extend(log.append(topic, b"%d-%d" % (worker, number)) for number in range(25))

        threads = [threading.Thread(target=append, args=(worker,)) for worker in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert 200 == len(set(places))
        assert sorted(b"%d-%d" % (w, n) for w in range(8) for n in range(25)) == sorted(
            values(poll(log.reader(topic), 200))
        )

    def test_truncate_removes_earlier_records(self, log: Log, topic: str) -> None:
        """The others keep their offsets; a group with an earlier position goes on at the first of them."""
        needs_truncate(log)
        places = [log.append(topic, b"%d" % number, partition=0) for number in range(5)]
        consumer = log.consumer(topic)
        log.truncate(topic, {0: places[3].offset})

        assert Bounds(places[3].offset, places[4].offset + 1) == log.bounds(topic)[places[0].partition]
        assert 2 == sum(log.lag(topic).values())
        assert [b"3", b"4"] == values(poll(consumer, 2))
        assert [place.offset for place in places[3:]] == [
            record.offset for record in poll(log.reader(topic, partitions=[0], start=0), 2)
        ]

    def test_truncate_removes_all(self, log: Log, topic: str) -> None:
        """Offsets are never used twice."""
        needs_truncate(log)
        before = log.append(topic, b"1", partition=0)
        log.truncate(topic)
        after = log.append(topic, b"2", partition=0)

        assert after.offset > before.offset
        assert [b"2"] == values(poll_all(log.reader(topic)))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"value": "text"},
            {"key": "text"},
            {"partition": -1},
            {"partition": True},
            {"headers": {"a": "text"}},
            {"headers": 5},
            {"topic": ""},
            *({"timestamp": time} for time in (math.nan, math.inf, True, "now", 1e300, 10**400)),
        ],
        ids=str,
    )
    def test_wrong_arguments_store_nothing(self, log: Log, topic: str, wrong: dict[str, Any]) -> None:
        with pytest.raises(InvalidArgumentError):
            log.append(**{"topic": topic, "value": b"x", **wrong})

        assert {} == log.bounds(topic)

    @pytest.mark.parametrize("timestamp", [math.nan, math.inf, True, "now"], ids=str)
    def test_a_wrong_time_of_one_record_stores_nothing_of_a_batch(
        self, log: Log, topic: str, timestamp: Any
    ) -> None:
        with pytest.raises(InvalidArgumentError):
            log.append_many(topic, [b"x", OutgoingRecord(b"x", timestamp=timestamp)])

        assert {} == log.bounds(topic)

    @pytest.mark.parametrize(
        "before", [5, {0: True}, {0: -1}, {0: 2**63}, {-1: 0}, {True: 0}, {"0": 0}], ids=str
    )
    def test_a_wrong_truncation_removes_nothing(self, log: Log, topic: str, before: Any) -> None:
        needs_truncate(log)
        place = log.append(topic, b"x", partition=0)
        with pytest.raises(InvalidArgumentError):
            log.truncate(topic, before)

        assert Bounds(place.offset, place.offset + 1) == log.bounds(topic)[place.partition]

    def test_a_time_without_a_zone_is_refused(self, log: Log, topic: str) -> None:
        with pytest.raises(InvalidArgumentError, match="time zone"):
            log.append(topic, b"x", timestamp=datetime(2024, 1, 1))  # noqa: DTZ001 - that is the mistake


def needs_truncate(log: Log) -> None:
    """Skip the test if records cannot be removed."""
    if not log.features[LogFeature.TRUNCATE]:
        pytest.skip("records cannot be removed")
