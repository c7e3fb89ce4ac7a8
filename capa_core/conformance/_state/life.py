"""Life cycle: several processes, forks and closing."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from capa_core.blocks.state import State, StateDriver, StateFeature
from capa_core.conformance._processes import Child, in_children
from capa_core.conformance._state.suite import (
    Connect,
    Suite,
    needs,
    succeeds,
)
from capa_core.errors import ClosedError


class LifePromises(Suite):
    """The promises of sharing, durability, forking and closing."""

    def test_values_are_shared_if_declared(self, connect: Connect, state: State) -> None:
        state.put("k", b"v")
        with State(connect()) as other:
            assert bool(state.features[StateFeature.SHARED]) == (other.get("k") == b"v")

    def test_values_are_durable_if_declared(self, connect: Connect) -> None:
        with State(connect()) as first:
            etag = first.put("k", b"v")
            lasts = bool(first.features[StateFeature.DURABLE] or first.features[StateFeature.SHARED])
        with State(connect()) as second:
            assert lasts == succeeds(lambda: second.put("k", b"w", if_etag=etag))

    def test_parent_and_child_go_on_after_a_fork(self, state: State) -> None:
        state.put("k", b"v")

        def child(number: int) -> tuple[bytes | None, int]:
            state.forget()
            state.put(f"child {number}", b"v")
            return state.get("k"), state.increment("n")

        answers = in_children(2, child)
        state.put("k", b"w")

        assert [b"v", b"v"] == [value for value, _ in answers]
        assert b"w" == state.get("k")
        if state.features[StateFeature.SHARED]:
            assert {"child 0", "child 1"} == set(state.get_many(["child 0", "child 1"]))
            assert 3 == state.increment("n")

    def test_waiting_works_in_parent_and_child_after_a_fork(self, state: State) -> None:
        needs(state, StateFeature.SHARED)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(state.wait, "k", timeout=10)
            time.sleep(0.1)  # so that the fork happens during a wait

            def child() -> bool:
                state.forget()
                state.put("child is here", b"", notify=True)
                return state.wait("k", timeout=10) is not None

            forked = Child(child)
            assert state.wait("child is here", timeout=10) is not None
            state.put("k", b"v", notify=True)

            assert waiting.result() is not None
            assert forked.result()

    def test_ping_describes_the_engine(self, state: State) -> None:
        assert state.ping()

    def test_a_second_close_does_nothing(self, driver: StateDriver[Any]) -> None:
        state = State(driver)
        state.put("k", b"v")
        state.close()

        state.close()

    def test_calls_after_close_raise_a_closed_error(self, driver: StateDriver[Any]) -> None:
        state = State(driver)
        state.close()

        for call in (
            lambda: state.get("k"),
            lambda: state.put("k", b"v"),
            lambda: state.increment("k"),
            state.ping,
        ):
            with pytest.raises(ClosedError):
                call()
