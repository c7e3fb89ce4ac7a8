"""Many keys: bulk calls, transactions and listing by prefix."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from capa_core.blocks.state import Delete, Put, State, StateDriver, StateFeature
from capa_core.blocks.state._compensation import compensated
from capa_core.conformance._state.suite import (
    ODD_KEYS,
    Suite,
    needs,
    succeeds,
)
from capa_core.errors import ConflictError, InvalidArgumentError, UnsupportedError


class ManyPromises(Suite):
    """The promises of bulk calls, transactions and listing."""

    def test_many_values_come_and_go_together(self, state: State) -> None:
        values = {f"key {number}": b"%d" % number for number in range(1000)}
        state.put_many(values)

        assert values == state.get_many([*values, "missing"])
        assert 1000 == state.delete_many([*values, "missing"])
        assert {} == state.get_many(values)

    def test_etags_of_many_are_those_of_each(self, state: State) -> None:
        etags = state.put_many({"a": b"1", "b": b"2"})

        assert etags == {key: item.etag for key, item in state.get_items(["b", "a"]).items()}
        assert state.delete("a", if_etag=etags["a"])

    def test_a_key_asked_for_twice_is_given_once(self, state: State) -> None:
        state.put("k", b"v")

        assert {"k": b"v"} == state.get_many(["k", "k"])
        assert 1 == state.delete_many(["k", "k"])

    def test_an_empty_bulk_call_is_allowed(self, state: State) -> None:
        assert ({}, {}, 0) == (state.get_many([]), state.put_many({}), state.delete_many([]))

    def test_conditions_in_bulk_hold_for_each(self, driver: StateDriver[Any], state: State) -> None:
        state.put("a", b"old")
        etags = compensated(driver).put_many([Put("a", b"new", if_etag=""), Put("b", b"new", if_etag="")])

        assert [True, False] == [etag is None for etag in etags]
        assert {"a": b"old", "b": b"new"} == state.get_many(["a", "b"])

    def test_without_transactions_a_transaction_is_refused(self, state: State) -> None:
        if state.features[StateFeature.TRANSACTION]:
            pytest.skip("it has transactions")

        with pytest.raises(UnsupportedError, match="transaction"):
            state.transact([Put("k", b"v")])

    def test_a_transaction_does_all(self, state: State) -> None:
        needs(state, StateFeature.TRANSACTION)
        etag = state.put("old", b"v")
        state.transact(
            [Put("a", b"1"), Put("b", b"2", if_etag=""), Delete("old", if_etag=etag), Delete("none")]
        )

        assert {"a": b"1", "b": b"2"} == state.get_many(["a", "b", "old"])

    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_a_transaction_with_a_failing_condition_does_nothing(self, state: State, place: int) -> None:
        needs(state, StateFeature.TRANSACTION)
        state.put("k", b"v")
        operations: list[Put | Delete] = [Put("a", b"1"), Delete("k")]
        operations.insert(place, Put("b", b"2", if_etag="no such etag"))
        with pytest.raises(ConflictError):
            state.transact(operations)

        assert {"k": b"v"} == state.get_many(["a", "b", "k"])

    def test_a_key_twice_in_a_transaction_is_refused(self, state: State) -> None:
        needs(state, StateFeature.TRANSACTION)
        with pytest.raises(InvalidArgumentError, match="twice"):
            state.transact([Put("k", b"v"), Delete("k")])

    def test_an_empty_transaction_does_nothing(self, state: State) -> None:
        needs(state, StateFeature.TRANSACTION)

        state.transact([])

    def test_readers_never_see_half_a_transaction(self, state: State) -> None:
        needs(state, StateFeature.TRANSACTION)
        state.put_many({"first": b"0", "second": b"0"})
        done = threading.Event()

        def write() -> None:
            for number in range(1, 100):
                state.transact([Put("first", b"%d" % number), Put("second", b"%d" % number)])
            done.set()

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            while not done.is_set() and not writing.done():
                first, second = int(state.get("first") or 0), int(state.get("second") or 0)
                assert first <= second
            writing.result()

    def test_of_many_transactions_with_one_etag_one_wins(self, state: State) -> None:
        needs(state, StateFeature.TRANSACTION)
        etag = state.put("k", b"v")

        def attempt(number: int) -> bool:
            return succeeds(lambda: state.transact([Put("k", b"w", if_etag=etag), Put(f"by {number}", b"")]))

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(attempt, range(8)))

        assert 1 == won.count(True)
        assert [f"by {won.index(True)}"] == list(state.get_many(f"by {number}" for number in range(8)))

    def test_without_listing_a_listing_is_refused(self, state: State) -> None:
        if state.features[StateFeature.SCAN]:
            pytest.skip("it can list keys")

        with pytest.raises(UnsupportedError, match="scan"):
            state.scan()

    def test_each_key_is_listed_once(self, state: State) -> None:
        needs(state, StateFeature.SCAN)
        keys = [f"key {number}" for number in range(1200)]
        state.put_many(dict.fromkeys(keys, b""))

        assert sorted(keys) == sorted(state.scan())

    @pytest.mark.parametrize(
        "prefix", sorted({key[:1] for key in ODD_KEYS} | {"a*", "a[", "a:", "\\*"}), ids=ascii
    )
    def test_only_keys_with_the_prefix_are_listed(self, state: State, prefix: str) -> None:
        needs(state, StateFeature.SCAN)
        state.put_many(dict.fromkeys(ODD_KEYS, b""))

        assert sorted(key for key in ODD_KEYS if key.startswith(prefix)) == sorted(state.scan(prefix))

    def test_a_deleted_key_is_not_listed(self, state: State) -> None:
        needs(state, StateFeature.SCAN)
        state.put_many({"a": b"", "b": b""})
        state.delete("a")

        assert ["b"] == list(state.scan())

    def test_writes_go_on_while_keys_are_listed(self, state: State) -> None:
        needs(state, StateFeature.SCAN)
        state.put_many({f"key {number}": b"" for number in range(1200)})
        for key in state.scan():
            state.delete(key)

        assert [] == list(state.scan())
