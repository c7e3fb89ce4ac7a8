"""Limits: values up to a declared limit are stored; larger ones are refused before they are sent."""

from __future__ import annotations

from typing import Any

import pytest

from capa_core.blocks.state import Put, State, StateDriver, StateFeature
from capa_core.conformance._limits import affordable, over, unreachable
from capa_core.conformance._state.suite import Suite, needs
from capa_core.errors import InvalidArgumentError


class LimitPromises(Suite):
    """The promises of `limits`."""

    def test_a_value_as_large_as_declared_is_stored(self, state: State) -> None:
        value = b"x" * affordable(state.limits.max_value_bytes)
        state.put("k" * state.limits.max_key_length, value)

        assert value == state.get("k" * state.limits.max_key_length)

    def test_a_larger_value_is_refused_before_it_is_sent(
        self, driver: StateDriver[Any], state: State, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        value = over(state.limits.max_value_bytes)
        unreachable(monkeypatch, driver, ["put", "put_many", "transact"])

        with pytest.raises(InvalidArgumentError, match=r"'conformance'.* 'k' .*max_value_bytes"):
            state.put("k", value)
        with pytest.raises(InvalidArgumentError, match="max_value_bytes"):
            state.put_many({"a": b"", "k": value})

    def test_a_larger_value_is_refused_in_a_transaction(
        self, driver: StateDriver[Any], state: State, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        needs(state, StateFeature.TRANSACTION)
        value = over(state.limits.max_value_bytes)
        unreachable(monkeypatch, driver, ["put", "transact"])

        with pytest.raises(InvalidArgumentError, match="max_value_bytes"):
            state.transact([Put("a", b""), Put("k", value)])

    def test_the_longest_declared_ttl_keeps_a_value(self, state: State) -> None:
        state.put("k", b"v", ttl=state.limits.max_ttl_s or 10**15)
        state.increment("n", ttl=state.limits.max_ttl_s or 10**15)

        assert b"v" == state.get("k")

    def test_a_longer_ttl_is_refused_before_it_is_sent(
        self, driver: StateDriver[Any], state: State, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        longest = state.limits.max_ttl_s
        if longest is None:
            pytest.skip("no limit is known")
        unreachable(monkeypatch, driver, ["put", "increment"])

        with pytest.raises(InvalidArgumentError, match="max_ttl_s"):
            state.put("k", b"v", ttl=longest * 2)
        with pytest.raises(InvalidArgumentError, match="max_ttl_s"):
            state.increment("k", ttl=longest * 2)
