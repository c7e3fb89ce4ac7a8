"""Positions: where a consumer reads, and how it moves."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from capa_core.blocks.log import Log, LogFeature, Partition, Start
from capa_core.conformance._log.suite import Suite, assigned, poll, poll_all, values
from capa_core.conformance._tolerance import PATIENCE_S, SLOW_MACHINE_S, is_prompt, woken_s
from capa_core.errors import ClosedError, ConflictError, InvalidArgumentError, UnsupportedError


class ReadingPromises(Suite):
    """The promises of `reader`, `poll`, `seek`, `pause` and `resume`."""

    def test_a_reader_receives_present_and_later_records(self, log: Log, topic: str) -> None:
        """Other readers receive them too."""
        log.append(topic, b"1")
        reader = log.reader(topic)
        before = values(poll(reader, 1))
        log.append(topic, b"2")

        assert [b"1", b"2"] == before + values(poll(reader, 1))
        assert {b"1", b"2"} == set(values(poll(log.reader(topic), 2)))
        assert [] == log.groups(topic)

    def test_a_reader_may_begin_at_the_end(self, log: Log, topic: str) -> None:
        log.append_many(topic, [b"old"] * 10)
        reader = log.reader(topic, start=Start.END)
        log.append_many(topic, [b"new"] * 10)

        assert [b"new"] * 10 == values(poll_all(reader, 10))

    def test_a_reader_may_begin_at_an_offset(self, log: Log, topic: str) -> None:
        places = [log.append(topic, b"%d" % number, partition=1) for number in range(4)]
        reader = log.reader(topic, partitions=[1], start=places[2].offset)

        assert [b"2", b"3"] == values(poll(reader, 2))

    def test_a_reader_may_begin_at_a_time(self, log: Log, topic: str) -> None:
        """It begins with the first record at or after the time; times are refused if declared absent."""
        for second in (10, 20, 30):
            log.append(topic, b"%d" % second, partition=0, timestamp=1_700_000_000 + second)
        at = datetime.fromtimestamp(1_700_000_020, UTC)
        if not log.features[LogFeature.SEEK_TIME]:
            with pytest.raises(UnsupportedError):
                log.reader(topic, start=at)
            return

        assert [b"20", b"30"] == values(poll(log.reader(topic, start=at), 2))

    def test_a_time_after_all_records_is_the_end(self, log: Log, topic: str) -> None:
        if not log.features[LogFeature.SEEK_TIME]:
            pytest.skip("positions cannot be found by time")
        log.append(topic, b"old", partition=0, timestamp=1_700_000_000)
        reader = log.reader(topic, start=datetime.fromtimestamp(1_800_000_000, UTC))
        log.append(topic, b"new", partition=0)

        assert [b"new"] == values(poll_all(reader))

    def test_a_reader_of_one_partition_sees_no_other(self, log: Log, topic: str) -> None:
        log.append(topic, b"0", partition=0)
        log.append(topic, b"1", partition=1)
        reader = log.reader(topic, partitions=[1])

        assert [b"1"] == values(poll_all(reader))
        assert frozenset([Partition(topic, 1)]) == reader.assignment

    def test_poll_returns_no_more_than_asked(self, log: Log, topic: str) -> None:
        """The next call returns the others."""
        log.append_many(topic, [b"x"] * 20)
        reader = log.reader(topic)
        sizes = [len(reader.poll(3, PATIENCE_S)) for _ in range(4)]

        assert {1, 2, 3} >= set(sizes)
        assert 20 - sum(sizes) == len(poll(reader, 20 - sum(sizes)))

    def test_poll_returns_nothing_after_its_timeout(self, log: Log, topic: str) -> None:
        log.append(topic, b"x")
        reader = log.reader(topic, start=Start.END)
        start = time.monotonic()
        assert [] == reader.poll(1, 0.3)

        assert 0.25 < time.monotonic() - start < 0.3 + SLOW_MACHINE_S

    def test_a_waiting_poll_is_woken_by_a_record(self, log: Log, topic: str) -> None:
        log.append(topic, b"old")
        reader = log.reader(topic, start=Start.END)

        assert is_prompt(lambda: woken_s(lambda: poll(reader, 1), lambda: log.append(topic, b"new")))

    def test_seek_reads_again_and_skips(self, log: Log, topic: str) -> None:
        places = [log.append(topic, b"%d" % number, partition=0) for number in range(4)]
        partition = places[0].partition
        consumer = log.consumer(topic)
        first = poll(consumer, 4)
        consumer.seek(partition, places[1].offset)
        again = poll(consumer, 3)
        consumer.seek(partition, places[3].offset)
        last = poll(consumer, 1)
        consumer.seek(partition, Start.BEGINNING)
        consumer.seek(partition, Start.END)

        assert [[b"0", b"1", b"2", b"3"], [b"1", b"2", b"3"], [b"3"]] == [
            values(first),
            values(again),
            values(last),
        ]
        assert [] == consumer.poll(1, 0.3)
        assert places[3].offset + 1 == consumer.position(partition)

    def test_rewind_reads_the_same_records_again(self, log: Log, topic: str) -> None:
        """It rewinds all their partitions, in any order of the records."""
        log.append_many(topic, [b"%d" % number for number in range(8)])
        consumer = log.consumer(topic)
        first = poll(consumer, 4)
        consumer.rewind(reversed(first))

        assert {b"%d" % number for number in range(8)} == set(values(poll(consumer, 8)))

    def test_a_paused_partition_is_not_polled(self, log: Log, topic: str) -> None:
        """The consumer still owns it and, once resumed, goes on at its position."""
        consumer = log.consumer(topic)
        log.append(topic, b"0", partition=0)
        poll(consumer, 1)
        consumer.pause([Partition(topic, 0)])
        log.append_many(topic, [])
        log.append(topic, b"resting", partition=0)
        log.append(topic, b"1", partition=1)
        meanwhile = values(poll_all(consumer))
        consumer.resume([Partition(topic, 0)])

        assert [b"1"] == meanwhile
        assert [b"resting"] == values(poll(consumer, 1))

    def test_seek_refuses_partitions_of_others(self, log: Log, topic: str) -> None:
        consumer = log.consumer(topic)
        assigned(consumer)
        foreign = Partition(topic, 99_999)

        for place in (0, 1000, Start.BEGINNING):
            with pytest.raises(ConflictError):
                consumer.seek(foreign, place)
        with pytest.raises(ConflictError):
            consumer.position(foreign)

    def test_a_position_past_the_end_is_refused(self, log: Log, topic: str) -> None:
        """It would hide the next records; the message names the partition, the offset and the end."""
        position = log.append(topic, b"0", partition=0)
        consumer, reader = log.consumer(topic), log.reader(topic, partitions=[0])
        poll(consumer, 1)
        end = position.offset + 1
        message = rf"/0: offset {end + 1} is past the end {end}\b"
        with pytest.raises(InvalidArgumentError, match=message):
            consumer.seek(position.partition, end + 1)
        with pytest.raises(InvalidArgumentError, match=message):
            reader.seek(position.partition, end + 1)
        with pytest.raises(InvalidArgumentError, match=message):
            log.reader(topic, partitions=[0], start=end + 1)
        consumer.seek(position.partition, end)
        log.append(topic, b"1", partition=0)

        assert [b"1"] == values(poll(consumer, 1))
        assert [b"0", b"1"] == values(poll(reader, 2))

    def test_a_position_before_the_first_record_is_the_first(self, log: Log, topic: str) -> None:
        if not log.features[LogFeature.TRUNCATE]:
            pytest.skip("records cannot be removed")
        places = [log.append(topic, b"%d" % number, partition=0) for number in range(3)]
        consumer = log.consumer(topic)
        poll(consumer, 3)
        log.truncate(topic, {0: places[2].offset})
        consumer.seek(places[0].partition, places[0].offset)

        assert places[2].offset == consumer.position(places[0].partition)
        assert [b"2"] == values(poll(consumer, 1))

    @pytest.mark.parametrize("place", [-1, True, 2**63, 1.0, None, "0", Start.KEPT], ids=str)
    def test_a_wrong_position_moves_nothing(self, log: Log, topic: str, place: Any) -> None:
        position = log.append(topic, b"x", partition=0)
        consumer = log.consumer(topic)
        poll(consumer, 1)
        with pytest.raises(InvalidArgumentError):
            consumer.seek(position.partition, place)

        assert position.offset + 1 == consumer.position(position.partition)

    @pytest.mark.parametrize(
        "wrong", [5, None, "p", ("t", 0), Partition("t", -1), Partition("t", True)], ids=str
    )
    def test_a_wrong_partition_is_refused(self, log: Log, topic: str, wrong: Any) -> None:
        consumer = log.consumer(topic)
        for call in (
            lambda: consumer.seek(wrong, 0),
            lambda: consumer.position(wrong),
            lambda: consumer.pause([wrong]),
            lambda: consumer.resume([wrong]),
            lambda: consumer.pause(wrong),
        ):
            with pytest.raises(InvalidArgumentError):
                call()

    @pytest.mark.parametrize("place", [-1, True, 2**63, "end", Start.KEPT], ids=str)
    def test_a_wrong_start_is_refused(self, log: Log, topic: str, place: object) -> None:
        log.append(topic, b"x")
        with pytest.raises(InvalidArgumentError):
            log.reader(topic, start=place)  # type: ignore[arg-type] # that is the mistake

    @pytest.mark.parametrize("partitions", [5, [True], [-1], ["0"], "0"], ids=str)
    def test_wrong_partitions_cannot_be_read(self, log: Log, topic: str, partitions: Any) -> None:
        log.append(topic, b"x")
        with pytest.raises(InvalidArgumentError):
            log.reader(topic, partitions=partitions)

    def test_close_wakes_a_waiting_poll(self, log: Log, topic: str) -> None:
        """The waiting call returns no records; the next one is refused."""
        consumer = log.consumer(topic)
        timer = threading.Timer(0.3, consumer.close)
        start = time.monotonic()
        timer.start()
        assert [] == consumer.poll(1, 20)
        took_s = time.monotonic() - start
        timer.join()

        assert took_s < 0.3 + SLOW_MACHINE_S
        for call in (consumer.poll, consumer.commit, lambda: consumer.pause([])):
            with pytest.raises(ClosedError):
                call()
        consumer.close()

    def test_closing_the_log_closes_its_consumers(self, log: Log, topic: str) -> None:
        log.append(topic, b"x")
        consumer, reader = log.consumer(topic), log.reader(topic)
        log.close()

        for each in (consumer, reader):
            with pytest.raises(ClosedError):
                each.poll(1, 0)
        with pytest.raises(ClosedError):
            log.append(topic, b"x")
