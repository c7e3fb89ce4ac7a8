"""Inspection: count the keys."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from capa_core.blocks.state import State, StateFeature
from capa_core.conformance._state.suite import AFTER_SHORT_S, SHORT, Suite, needs
from capa_core.errors import UnsupportedError


class InspectingPromises(Suite):
    """The promises of `inspect`."""

    def test_keys_are_counted(self, state: State) -> None:
        needs(state, StateFeature.INSPECT)
        empty = state.inspect()
        state.put_many({"a": b"1", "b": b"22"}, ttl=timedelta(hours=1))
        state.put("short", b"v", ttl=SHORT)
        time.sleep(AFTER_SHORT_S)
        status = state.inspect()

        assert [(0, True), (2, True)] == [(empty.keys, empty.complete), (status.keys, status.complete)]
        assert status.size_bytes is None or status.size_bytes >= 3
        assert "2 keys" == state.summary()

    def test_counting_ends_at_the_given_number(self, state: State) -> None:
        needs(state, StateFeature.INSPECT)
        state.put_many({str(number): b"v" for number in range(20)})
        status = state.inspect(most=20)
        some = state.inspect(most=5)

        assert (20, True) == (status.keys, status.complete)
        assert (some.keys, some.complete) in [(5, False), (20, True)]

    def test_counting_is_refused_if_it_is_declared_absent(self, state: State) -> None:
        if state.features[StateFeature.INSPECT]:
            pytest.skip("can be inspected")

        assert "" == state.summary()
        with pytest.raises(UnsupportedError):
            state.inspect()
