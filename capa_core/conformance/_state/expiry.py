"""Expiry: values with a time to live."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

from capa_core.blocks.state import Put, State, StateFeature
from capa_core.conformance._state.suite import (
    AFTER_SHORT_S,
    SHORT,
    Suite,
    needs,
    succeeds,
)
from capa_core.errors import InvalidArgumentError


class ExpiryPromises(Suite):
    """The promises of the time to live."""

    def test_a_value_is_there_until_its_time_is_over(self, state: State) -> None:
        earliest = time.monotonic() + 1
        state.put("k", b"v", ttl=timedelta(seconds=1))
        latest = asked = seen = time.monotonic() + 1
        while state.get("k") is not None and asked < latest + 3:
            seen = asked
            time.sleep(0.02)
            asked = time.monotonic()

        assert time.monotonic() > earliest - 0.3
        assert seen < latest + 0.3

    def test_an_expired_value_is_in_no_answer(self, state: State) -> None:
        etag = self.expired(state)

        assert state.get_item("k") is None
        assert {} == state.get_many(["k"])
        assert state.wait("k", timeout=0) is None
        assert not succeeds(lambda: state.put("k", b"new", if_etag=etag))

    def test_an_expired_value_is_not_listed(self, state: State) -> None:
        needs(state, StateFeature.SCAN)
        self.expired(state)

        assert [] == list(state.scan())

    def test_an_expired_value_is_not_counted_as_deleted(self, state: State) -> None:
        self.expired(state)

        assert (False, 0) == (state.delete("k"), state.delete_many(["k"]))

    def test_an_expired_value_does_not_block_a_first_write(self, state: State) -> None:
        self.expired(state)
        state.put("k", b"new", if_etag="")

        assert b"new" == state.get("k")

    def test_a_write_without_a_ttl_removes_the_expiry(self, state: State) -> None:
        state.put("k", b"v", ttl=SHORT)
        state.put("k", b"w")
        etag = state.put("m", b"v", ttl=1)
        state.put("m", b"w", if_etag=etag)
        time.sleep(1.2)

        assert {"k": b"w", "m": b"w"} == state.get_many(["k", "m"])

    def test_time_is_kept_in_bulk_and_transactions(self, state: State) -> None:
        state.put_many({"a": b"v", "b": b"v"}, ttl=SHORT)
        if state.features[StateFeature.TRANSACTION]:
            state.transact([Put("c", b"v", ttl_s=SHORT.total_seconds()), Put("d", b"stays")])
        time.sleep(AFTER_SHORT_S)

        assert {} == state.get_many(["a", "b", "c"])

    @pytest.mark.parametrize("ttl", [0, -1, timedelta(0), "1", float("nan")], ids=repr)
    def test_an_invalid_ttl_is_refused(self, state: State, ttl: Any) -> None:
        with pytest.raises(InvalidArgumentError):
            state.put("k", b"v", ttl=ttl)
