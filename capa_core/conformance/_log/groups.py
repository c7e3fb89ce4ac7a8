"""Groups: a position for each, partitions shared among the members."""

from __future__ import annotations

import time
from typing import Any

import pytest

from capa_core.blocks.log import Bounds, Log, LogConsumer, Partition, Record, Start
from capa_core.conformance._log.suite import Suite, assigned, balance, poll, poll_all, values
from capa_core.conformance._tolerance import PATIENCE_S
from capa_core.errors import ConflictError, InvalidArgumentError

MANY = 400


class GroupPromises(Suite):
    """The promises of `consumer`, `commit`, `committed`, `lag` and the call-backs."""

    def test_each_group_sees_each_record(self, log: Log, topic: str) -> None:
        log.append_many(topic, [b"1", b"2"])
        groups = [log.consumer(topic, f"group {number} ü") for number in range(2)]

        assert [[b"1", b"2"]] * 2 == [sorted(values(poll(group, 2))) for group in groups]
        assert ["group 0 ü", "group 1 ü"] == log.groups(topic)

    def test_a_group_goes_on_from_its_commit(self, log: Log, topic: str) -> None:
        """Records that were polled and not committed come again."""
        for number in range(4):
            log.append(topic, b"%d" % number, partition=0)
        with log.consumer(topic) as first:
            records = poll(first, 3)
            first.commit(records[:2])
        with log.consumer(topic) as second:
            again = poll(second, 2)
            second.commit()

        assert [b"2", b"3"] == values(again)
        assert 0 == sum(log.lag(topic).values())

    def test_a_commit_is_the_groups_position(self, log: Log, topic: str) -> None:
        places = [log.append(topic, b"%d" % number, partition=0) for number in range(3)]
        partition = places[0].partition
        consumer = log.consumer(topic)
        poll(consumer, 3)
        before = log.lag(topic)[partition]
        consumer.commit({partition: places[1].offset})
        explicit = log.committed(topic)[partition]
        consumer.commit()

        assert (3, places[1].offset) == (before, explicit)
        assert consumer.position(partition) == log.committed(topic)[partition]
        assert 0 == log.lag(topic)[partition]

    def test_a_commit_past_the_end_is_refused(self, log: Log, topic: str) -> None:
        """It would hide the next records; nothing is committed, and no lag is negative."""
        position = log.append(topic, b"0", partition=0)
        consumer = log.consumer(topic)
        poll(consumer, 1)
        end = position.offset + 1
        with pytest.raises(InvalidArgumentError, match=rf"/0: offset {end + 1} is past the end {end}\b"):
            consumer.commit({position.partition: end + 1})
        before = log.lag(topic)[position.partition]
        consumer.commit({position.partition: end})

        assert (1, 0) == (before, log.lag(topic)[position.partition])

    @pytest.mark.parametrize("offset", [-1, True, 2**63, 1.0, None, "0"], ids=str)
    def test_a_wrong_offset_commits_nothing(self, log: Log, topic: str, offset: Any) -> None:
        partition = log.append(topic, b"x", partition=0).partition
        consumer = log.consumer(topic)
        poll(consumer, 1)
        with pytest.raises(InvalidArgumentError):
            consumer.commit({partition: offset})

        assert 1 == sum(log.lag(topic).values())

    @pytest.mark.parametrize(
        "wrong", [5, "records", [5], {5: 0}, {("t", 0): 0}, {Partition("t", -1): 0}], ids=str
    )
    def test_only_records_and_offsets_can_be_committed(self, log: Log, topic: str, wrong: Any) -> None:
        consumer = log.consumer(topic)
        with pytest.raises(InvalidArgumentError):
            consumer.commit(wrong)

    @pytest.mark.parametrize("wrong", [5, [5]], ids=str)
    def test_only_records_can_be_rewound(self, log: Log, topic: str, wrong: Any) -> None:
        consumer = log.consumer(topic)
        with pytest.raises(InvalidArgumentError):
            consumer.rewind(wrong)

    def test_a_commit_may_leave_later_records_open(self, log: Log, topic: str) -> None:
        """It does not move the position of the consumer that made it."""
        for number in range(3):
            log.append(topic, b"%d" % number, partition=0)
        consumer = log.consumer(topic)
        consumer.commit(poll(consumer, 1), wait=False)

        assert [b"1", b"2"] == values(poll(consumer, 2))

    def test_a_topic_shows_its_partitions_and_the_lag_of_its_groups(self, log: Log, topic: str) -> None:
        """The call receives nothing and commits nothing."""
        for number in range(3):
            log.append(topic, b"%d" % number, partition=1)
        with log.consumer(topic, "b") as consumer:
            consumer.commit(poll(consumer, 3)[:2])
        log.consumer(topic, "a", start=Start.BEGINNING).close()
        status = log.inspect(topic)
        bounds = {partition.number: bounds for partition, bounds in log.bounds(topic).items()}

        assert bounds == {each.number: Bounds(each.first, each.end) for each in status.partitions}
        assert [("a", 3), ("b", 1)] == [(group.name, group.lag) for group in status.groups]
        assert (3, 1, bounds[1].end - 1) == (
            status.lag,
            status.groups[1].lag_by_partition[1],
            status.groups[1].committed[1],
        )
        assert status == log.inspect(topic)

    def test_an_unknown_topic_has_no_status(self, log: Log, topic: str) -> None:
        """The call does not create it."""
        status = log.inspect(topic)

        assert (topic, (), (), 0) == (status.name, status.partitions, status.groups, status.lag)
        assert [] == log.partitions(topic)

    def test_a_new_group_begins_at_the_requested_position(self, log: Log, topic: str) -> None:
        """An existing group goes on from its own."""
        log.append(topic, b"old")
        whole = log.consumer(topic, "whole")
        later = log.consumer(topic, "later", start=Start.END)
        log.append(topic, b"new")
        again = log.consumer(topic, "later", start=Start.BEGINNING)

        assert {b"old", b"new"} == set(values(poll(whole, 2)))
        assert [b"new"] == values(poll_all(again))
        later.close()

    def test_the_first_group_receives_kept_records(self, log: Log, topic: str) -> None:
        """Later groups receive only later records."""
        log.append(topic, b"kept")
        first = log.consumer(topic, "first", start=Start.KEPT)
        second = log.consumer(topic, "second", start=Start.KEPT)
        log.append(topic, b"new")

        assert {b"kept", b"new"} == set(values(poll(first, 2)))
        assert [b"new"] == values(poll_all(second))

    def test_a_lone_member_has_all_partitions(self, log: Log, topic: str) -> None:
        gained: list[Partition] = []
        consumer = log.consumer(topic, on_assigned=gained.extend)
        everything = assigned(consumer)

        assert set(log.partitions(topic)) == everything == set(gained)

    def test_members_share_the_partitions(self, log: Log, topic: str) -> None:
        """Each partition has one owner, and listeners are called with the partitions gained and lost."""
        held: dict[str, set[Partition]] = {"first": set(), "second": set()}
        first, second = (
            log.consumer(
                topic,
                on_assigned=held[name].update,
                on_revoked=held[name].difference_update,
                on_lost=held[name].difference_update,
            )
            for name in held
        )
        assigned(first)
        balance(first, second)

        assert set(log.partitions(topic)) == first.assignment | second.assignment
        assert set() == first.assignment & second.assignment
        assert first.assignment
        assert second.assignment
        assert [first.assignment, second.assignment] == [frozenset(each) for each in held.values()]

    def test_of_many_records_none_is_lost_and_none_comes_twice(self, log: Log, topic: str) -> None:
        """Members commit the records that they have polled, while one joins and one leaves."""
        expected = [b"%d" % number for number in range(MANY)]
        first = log.consumer(topic)
        log.append_many(topic, expected[: MANY // 2])
        received = _work([first], MANY // 4)
        second = log.consumer(topic)
        received += _work([first, second], MANY // 4)
        log.append_many(topic, expected[MANY // 2 :])
        received += _work([first, second], MANY // 4)
        first.close()
        received += _work([second], MANY - len(received))

        assert sorted(expected) == sorted(values(received))
        assert 0 == sum(log.lag(topic).values())

    def test_a_member_that_leaves_frees_its_partitions(self, log: Log, topic: str) -> None:
        revoked: list[Partition] = []
        first = log.consumer(topic, on_revoked=revoked.extend)
        everything = assigned(first)
        second = log.consumer(topic)
        first.close()

        assert set(everything) == set(revoked)
        assert everything == _owned_after_polling(second, len(everything))

    def test_a_position_may_be_committed_while_its_partition_is_revoked(self, log: Log, topic: str) -> None:
        """The next owner then begins at this position."""
        log.append(topic, b"x", partition=0)
        first = log.consumer(topic, on_revoked=lambda _: first.commit())
        poll(first, 1)
        first.close()
        second = log.consumer(topic)

        assert [] == second.poll(1, 0.7)

    def test_a_member_that_does_not_poll_loses_its_partitions(self, log: Log, topic: str) -> None:
        """It does so after its session; its records come again, and its commit is refused."""
        lost: list[Partition] = []
        first = log.consumer(topic, session=1, on_lost=lost.extend)
        second = log.consumer(topic, session=60)
        log.append(topic, b"x", partition=0)
        records = poll(first, 1)
        again = poll(second, 1)
        with pytest.raises(ConflictError):
            first.commit(records)
        second.commit(again)
        first.poll(1, 0.1)

        assert [b"x"] == values(again)
        assert Partition(topic, 0) in lost

    def test_a_member_that_polls_keeps_paused_partitions(self, log: Log, topic: str) -> None:
        """It keeps them for longer than its session."""
        first = log.consumer(topic, session=2)
        log.append(topic, b"x", partition=0)
        records = poll(first, 1)
        first.pause(first.assignment)
        for _ in range(10):
            assert [] == first.poll(1, 0)
            time.sleep(0.25)
        first.commit(records)

        assert 0 == sum(log.lag(topic).values())

    def test_one_consumer_reads_several_topics(self, log: Log, topic: str) -> None:
        """A record of any of them wakes it."""
        other = f"{topic}.other"
        consumer = log.consumer([topic, other])
        log.append(topic, b"1")
        first = poll(consumer, 1)
        log.append(other, b"2")
        second = poll(consumer, 1)
        consumer.commit([*first, *second])

        assert [b"1", b"2"] == values(first + second)
        assert [0, 0] == [sum(log.lag(name).values()) for name in (topic, other)]

    @pytest.mark.parametrize(
        "wrong", [{"topics": []}, {"topics": 5}, {"group": ""}, {"session": 0.5}, {"start": 0}], ids=str
    )
    def test_wrong_arguments_join_nothing(self, log: Log, topic: str, wrong: dict[str, object]) -> None:
        with pytest.raises(InvalidArgumentError):
            log.consumer(**{"topics": topic, **wrong})  # type: ignore[arg-type] # that is the mistake

        assert [] == log.groups(topic)


def _work(consumers: list[LogConsumer], count: int, within_s: float = 2 * PATIENCE_S) -> list[Record]:
    """Poll and commit in turns until there are *count* records."""
    end = time.monotonic() + within_s
    records: list[Record] = []
    while len(records) < count and time.monotonic() < end:
        for consumer in consumers:
            batch = consumer.poll(min(10, max(1, count - len(records))), 0.05)
            consumer.commit(batch)
            records += batch
    return records


def _owned_after_polling(consumer: LogConsumer, count: int) -> frozenset[Partition]:
    end = time.monotonic() + PATIENCE_S
    while len(consumer.assignment) < count and time.monotonic() < end:
        consumer.poll(1, 0.05)
    return consumer.assignment
