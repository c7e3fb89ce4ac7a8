"""Keys, values and declarations."""

from __future__ import annotations

from typing import Any

import pytest

from capa_core.blocks.state import State, StateDriver, StateFeature
from capa_core.blocks.state._compensation import compensated
from capa_core.conformance._state.suite import (
    ODD_KEYS,
    Suite,
)
from capa_core.errors import InvalidArgumentError

ODD_VALUES = [b"", b"\x00", bytes(range(256)), b"\x00\x01ce0123456789abcdefv", b"\xff" * 9, b"x" * 1_000_000]


class ValuePromises(Suite):
    """The promises of keys and values, and of the driver's declarations."""

    def test_declares_every_ability(self, driver: StateDriver[Any]) -> None:
        assert set(StateFeature) == set(driver.features)

    def test_gives_a_reason_for_each_absent_ability(self, driver: StateDriver[Any]) -> None:
        assert [] == [
            feature for feature, support in driver.features.items() if not support and not support.note
        ]

    def test_is_used_bare_if_nothing_is_left_to_the_core(self, driver: StateDriver[Any]) -> None:
        compensable = (StateFeature.TTL, StateFeature.BULK, StateFeature.WAIT, StateFeature.INCREMENT)
        has_all = all(driver.features[feature].by_driver for feature in compensable)

        assert has_all == (compensated(driver) is driver)

    def test_every_ability_of_level_0_holds_after_compensation(self, state: State) -> None:
        assert [] == [
            feature for feature, support in state.features.items() if feature.level == 0 and not support
        ]

    def test_a_key_that_was_never_written_has_no_value(self, state: State) -> None:
        assert state.get("never") is None
        assert state.get_item("never") is None

    @pytest.mark.parametrize("value", ODD_VALUES, ids=lambda value: repr(value[:12]))
    def test_a_value_comes_back_byte_for_byte(self, state: State, value: bytes) -> None:
        state.put("k", value)

        assert value == state.get("k")

    def test_each_odd_key_has_a_value_of_its_own(self, state: State) -> None:
        for number, key in enumerate(ODD_KEYS):
            state.put(key, str(number).encode())

        assert {key: str(number).encode() for number, key in enumerate(ODD_KEYS)} == state.get_many(ODD_KEYS)

    @pytest.mark.parametrize("key", ["", "x" * 513, "half \ud800 pair", b"bytes", None], ids=repr)
    def test_an_invalid_key_is_refused(self, state: State, key: Any) -> None:
        with pytest.raises(InvalidArgumentError):
            state.get(key)

    def test_text_is_refused_as_a_value(self, state: State) -> None:
        with pytest.raises(InvalidArgumentError, match="put_json"):
            state.put("k", "text")  # type: ignore[arg-type] # the mistake

    def test_json_comes_back_as_it_was(self, state: State) -> None:
        state.put_json("k", {"a": [1, None, "ü"]})

        assert {"a": [1, None, "ü"]} == state.get_json("k")

    def test_a_later_value_replaces_the_earlier(self, state: State) -> None:
        state.put("k", b"one")
        state.put("k", b"two")

        assert b"two" == state.get("k")
