"""Waits: wake when a key changes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from capa_core.blocks.state import Put, State, StateFeature
from capa_core.conformance._processes import Child
from capa_core.conformance._state.suite import (
    Connect,
    Suite,
    needs,
)
from capa_core.conformance._tolerance import SLOW_MACHINE_S


class WaitingPromises(Suite):
    """The promises of `wait`."""

    def test_waiting_for_an_existing_value_returns_at_once(self, state: State) -> None:
        etag = state.put("k", b"v")
        started = time.monotonic()

        assert etag == state.wait("k", timeout=20).etag  # type: ignore[union-attr]
        assert etag == state.wait("k", "an older etag", timeout=20).etag  # type: ignore[union-attr]
        assert time.monotonic() - started < SLOW_MACHINE_S

    def test_waiting_in_vain_ends_in_time(self, state: State) -> None:
        etag = state.put("k", b"v")
        started = time.monotonic()

        assert state.wait("k", etag, timeout=timedelta(seconds=0.3)) is None
        assert 0.25 < time.monotonic() - started < 0.3 + SLOW_MACHINE_S

    def test_a_change_with_notice_wakes_at_once(self, state: State) -> None:
        assert self.wakes_at_once(state, lambda: state.put("k", b"v", notify=True))

    def test_a_change_without_notice_wakes_within_a_second(self, state: State) -> None:
        assert self.wakes(state, lambda: state.put("k", b"v"), 1.2)

    def test_notice_is_given_in_bulk_and_conditional_writes(self, state: State) -> None:
        assert self.wakes_at_once(state, lambda: state.put_many({"k": b"v"}, notify=True))
        assert self.wakes_at_once(state, lambda: state.put("k", b"v", if_etag="", notify=True))

    def test_notice_is_given_in_transactions(self, state: State) -> None:
        needs(state, StateFeature.TRANSACTION)

        assert self.wakes_at_once(state, lambda: state.transact([Put("k", b"v", notify=True)]))

    def test_a_deletion_does_not_wake(self, state: State) -> None:
        etag = state.put("k", b"v")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(state.wait, "k", etag, timeout=0.5)
            state.delete("k")

            assert waiting.result() is None

    def test_no_change_is_missed_however_close(self, state: State) -> None:
        with ThreadPoolExecutor(1) as pool:
            for number in range(50):
                key = f"k{number}"
                writing = pool.submit(state.put, key, b"v", notify=True)
                assert state.wait(key, timeout=10) is not None
                writing.result()

    def test_all_waiters_for_a_key_are_woken(self, state: State) -> None:
        with ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(state.wait, "k", timeout=10) for _ in range(8)]
            time.sleep(0.1)
            etag = state.put("k", b"v", notify=True)

            assert [etag] * 8 == [future.result().etag for future in waiting]  # type: ignore[union-attr]

    def test_each_waiter_gets_the_value_of_its_key(self, state: State) -> None:
        keys = [f"k{number}" for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(state.wait, key, timeout=10) for key in keys]
            for key in keys:
                state.put(key, key.encode(), notify=True)

            assert [key.encode() for key in keys] == [future.result().value for future in waiting]  # type: ignore[union-attr]

    def test_a_change_by_another_wakes(self, state: State, other: State) -> None:
        assert self.wakes_at_once(state, lambda: other.put("k", b"v", notify=True))

    def test_a_change_by_another_process_wakes(self, connect: Connect, state: State) -> None:
        needs(state, StateFeature.SHARED)

        def write() -> str:
            time.sleep(0.3)
            with State(connect()) as mine:
                return mine.put("k", b"v", notify=True)

        child = Child(write)
        item = state.wait("k", timeout=10)

        assert child.result() == item.etag  # type: ignore[union-attr]
