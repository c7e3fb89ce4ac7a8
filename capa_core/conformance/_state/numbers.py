"""Counters: whole numbers with concurrent increments."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from capa_core.blocks.state import State, StateFeature
from capa_core.conformance._processes import in_children
from capa_core.conformance._state.suite import (
    AFTER_SHORT_S,
    SHORT,
    Connect,
    Suite,
    needs,
)
from capa_core.errors import ConflictError


class NumberPromises(Suite):
    """The promises of `increment`."""

    def test_adding_begins_at_zero_and_returns_the_sum(self, state: State) -> None:
        assert [1, 3, -2] == [state.increment("n"), state.increment("n", 2), state.increment("n", -5)]
        assert b"-2" == state.get("n")

    def test_a_stored_number_can_be_added_to(self, state: State) -> None:
        etag = state.put("n", b"41")

        assert 42 == state.increment("n")
        assert etag != state.get_item("n").etag  # type: ignore[union-attr]

    def test_large_numbers_are_exact(self, state: State) -> None:
        state.put("n", b"%d" % (2**62))

        assert 2**63 - 1 == state.increment("n", 2**62 - 1)
        assert b"%d" % (2**63 - 1) == state.get("n")

    @pytest.mark.parametrize(
        "value", [b"", b"one", b"1.5", b" 1", b"01", b"+1", b"1_0", b"-", b"9" * 20], ids=repr
    )
    def test_a_value_that_is_not_a_number_is_left_unchanged(self, state: State, value: bytes) -> None:
        etag = state.put("n", value)
        with pytest.raises(ConflictError):
            state.increment("n")

        assert (value, etag) == (state.get("n"), state.get_item("n").etag)  # type: ignore[union-attr]

    @pytest.mark.parametrize("start", [2**63 - 1, -(2**63)])
    def test_a_sum_beyond_64_bits_is_refused(self, state: State, start: int) -> None:
        state.put("n", b"%d" % start)
        with pytest.raises(ConflictError):
            state.increment("n", 1 if start > 0 else -1)

        assert b"%d" % start == state.get("n")

    def test_the_time_of_a_number_counts_from_its_first_increment(self, state: State) -> None:
        for _ in range(2):
            state.increment("n", ttl=2)
            time.sleep(0.5)
        time.sleep(1.2)

        assert 1 == state.increment("n")

    def test_adding_keeps_a_value_without_expiry(self, state: State) -> None:
        state.put("n", b"1")
        state.increment("n", ttl=SHORT)
        time.sleep(AFTER_SHORT_S)

        assert 3 == state.increment("n")

    def test_no_increment_of_many_threads_is_lost(self, state: State) -> None:
        with ThreadPoolExecutor(8) as pool:
            sums = list(pool.map(lambda _: state.increment("n"), range(200)))

        assert list(range(1, 201)) == sorted(sums)

    def test_no_increment_of_many_processes_is_lost(self, connect: Connect, state: State) -> None:
        needs(state, StateFeature.SHARED)

        def add(_number: int) -> list[int]:
            with State(connect()) as mine:
                return [mine.increment("n") for _ in range(50)]

        sums = [number for numbers in in_children(3, add) for number in numbers]

        assert list(range(1, 151)) == sorted(sums)
