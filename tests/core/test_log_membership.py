"""Shares of partitions: fair, with as few moves as possible, and without the busy partitions of others."""

import pytest

from capa_core.blocks.log import AssignmentListener, Log, Partition
from capa_core.blocks.log.membership import Ownership, share
from capa_core.components.memory.log import MemoryLog, MemoryLogSettings
from capa_core.errors import UnavailableError

IDLE, BUSY = False, True


def partitions(*ownerships):
    return {Partition("t", number): Ownership(*each) for number, each in enumerate(ownerships)}


def numbers(found):
    return [partition.number for partition in found]


def test_a_lone_member_claims_all():
    assert [0, 1, 2] == numbers(share("a", {"a"}, partitions(*[(None, IDLE)] * 3)).claims)


def test_a_remainder_stays_with_the_largest_owner():
    owned = partitions(("a", IDLE), ("b", IDLE), ("b", IDLE))

    assert ([], []) == (share("a", {"a", "b"}, owned).claims, share("b", {"a", "b"}, owned).surplus)


def test_an_idle_partition_is_given_up_before_a_busy_one():
    found = share("a", {"a", "b"}, partitions(("a", IDLE), ("a", BUSY), ("a", BUSY), ("a", IDLE)))

    assert ([3, 0], []) == (numbers(found.surplus), found.draining)


def test_a_surplus_busy_partition_drains():
    found = share("a", {"a", "b"}, partitions(("a", BUSY), ("a", BUSY)))

    assert ([], [1]) == (found.surplus, numbers(found.draining))


def test_the_idle_partitions_of_a_member_that_does_not_poll_are_claimed():
    found = share("a", {"a"}, partitions(("silent", IDLE), ("silent", BUSY), (None, IDLE)))

    assert [0, 2] == numbers(found.claims)


def test_the_idle_partitions_of_a_member_that_polls_are_not_claimed():
    found = share("a", {"a", "b"}, partitions(("b", IDLE), ("b", IDLE)))

    assert [] == found.claims


def _append_to_each(log):
    """Append a record to each partition."""
    for partition in log.create_topic("t"):
        log.append("t", b"x", partition=partition.number)


class Failing(AssignmentListener):
    """A listener whose first call fails."""

    def __init__(self):
        self.failures = 1

    def wanted(self, partitions):
        if self.failures:
            self.failures -= 1
            raise UnavailableError("no answer")


def test_a_failing_callback_loses_no_record():
    driver = MemoryLog(MemoryLogSettings(partitions=3))
    log = Log(driver)
    _append_to_each(log)
    log.consumer("t")
    first, second = (
        driver.consume(["t"], "default", Failing(), session_s=30, yield_s=None) for _ in range(2)
    )
    polled = []
    while len(polled) < 3:
        polled += first.poll(3, 0.1)
    second.poll(1, 0)
    log.append("t", b"y", partition=0)
    with pytest.raises(UnavailableError):
        first.poll(3, 0)

    assert [b"y"] == [record.value for record in first.poll(3, 0)]


class Wanted(AssignmentListener):
    def __init__(self):
        self.partitions = set()

    def wanted(self, partitions):
        self.partitions |= partitions


@pytest.mark.parametrize(("yield_s", "moves"), [(0.0, True), (None, False)])
def test_uncommitted_partitions_move_after_yield_s_or_never(yield_s, moves):
    driver = MemoryLog(MemoryLogSettings(partitions=2))
    log, listener = Log(driver), Wanted()
    _append_to_each(log)
    log.consumer("t")
    first, second = (
        driver.consume(["t"], "default", listener, session_s=30, yield_s=yield_s) for _ in range(2)
    )
    while len(first.poll(2, 0.1)) == 2:
        pass
    for _ in range(4):
        second.poll(1, 0.05)
        first.poll(1, 0.05)

    assert {1} == {partition.number for partition in listener.partitions} or moves
    assert moves == bool(second.assignment())
