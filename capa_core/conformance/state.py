"""What every state driver must do, as tests over the portable type.

    class TestMyState(StateConformance):
        @pytest.fixture
        def connect(self, my_server):
            return lambda: MyState(MySettings(url=my_server.url))

What a driver declares is what is measured: what it has is tested on it, what it leaves to the core is tested with
the core's help, and what it has not must raise `UnsupportedError`.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from capa_core.blocks.state import Delete, Put, State, StateDriver, StateFeature
from capa_core.blocks.state._compensation import compensated
from capa_core.conformance._processes import Child, in_children
from capa_core.errors import (
    ClosedError,
    ConflictError,
    InvalidArgumentError,
    UnsupportedError,
)

Connect = Callable[[], StateDriver[Any]]

ODD_KEYS = [
    *[
        "k",
        "K",
        " ",
        "  ",
        "\n",
        "\x00",
        "a\x00b",
        "\x7f",
        "'",
        '"',
        "\\",
        "%",
        "_",
        "a%b",
        "a_b",
        ":",
        "a:b",
    ],
    *[
        "*",
        "?",
        "a*b",
        "[ab]",
        "[^a]",
        "a[",
        "]",
        "\\*",
        "{tag}",
        "}{",
        "{}",
        "a/b/../c",
        "..",
        "/",
        "-",
        "é",
    ],
    *["e\u0301", "ключ", "鍵", "🔑", "\ud7ff", "\ue000", "\uffff", "\U0010ffff", "x" * 512, "🔑" * 512],
]
ODD_VALUES = [b"", b"\x00", bytes(range(256)), b"\x00\x01ce0123456789abcdefv", b"\xff" * 9, b"x" * 1_000_000]
SHORT = timedelta(milliseconds=250)
AFTER_SHORT_S = 0.4


class StateConformance(ABC):
    """Subclass it, override `connect`, and every test runs against your engine."""

    @pytest.fixture
    @abstractmethod
    def connect(self) -> Connect:
        """Return a function that opens a driver on one store, empty at first; each call opens another on it."""

    @pytest.fixture
    def driver(self, connect: Connect) -> StateDriver[Any]:
        """Return a driver."""
        return connect()

    @pytest.fixture
    def state(self, driver: StateDriver[Any]) -> Iterator[State]:
        """Yield the portable type over the driver."""
        with State(driver, name="conformance") as state:
            yield state

    @pytest.fixture
    def other(self, connect: Connect, driver: StateDriver[Any]) -> Iterator[State]:
        """Yield another portable object on the same store, as another process would have."""
        _needs(driver, StateFeature.SHARED)
        with State(connect(), name="conformance") as other:
            yield other

    # What it declares

    def test_declares_every_ability(self, driver: StateDriver[Any]) -> None:
        assert set(StateFeature) == set(driver.features)

    def test_gives_a_reason_for_what_it_has_not(self, driver: StateDriver[Any]) -> None:
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

    # Values and keys

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
    def test_what_is_no_key_is_refused(self, state: State, key: Any) -> None:
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

    # Etags

    def test_put_returns_the_etag_that_get_item_gives(self, state: State) -> None:
        etag = state.put("k", b"v")

        assert etag == state.get_item("k").etag  # type: ignore[union-attr]

    def test_the_same_value_stored_again_has_another_etag(self, state: State) -> None:
        assert state.put("k", b"v") != state.put("k", b"v")

    def test_an_etag_does_not_come_again_after_a_deletion(self, state: State) -> None:
        first = state.put("k", b"v")
        state.delete("k")

        assert first != state.put("k", b"v")

    @pytest.mark.parametrize(
        ("present", "condition", "stored"),
        [
            (False, "none", True),
            (False, "empty", True),
            (False, "foreign", False),
            (False, "stale", False),
            (True, "none", True),
            (True, "empty", False),
            (True, "foreign", False),
            (True, "stale", False),
            (True, "right", True),
        ],
    )
    @pytest.mark.parametrize("operation", ["put", "transact"])
    def test_a_write_goes_by_its_condition(
        self, state: State, operation: str, present: bool, condition: str, stored: bool
    ) -> None:
        if operation == "transact":
            _needs(state, StateFeature.TRANSACTION)
        if_etag = _condition(state, present, condition)

        assert stored == _succeeds(lambda: _write(state, operation, if_etag))
        assert (b"new" if stored else b"old" if present else None) == state.get("k")

    @pytest.mark.parametrize(
        ("present", "condition", "answer"),
        [
            (False, "none", False),
            (False, "empty", False),
            (False, "foreign", "conflict"),
            (False, "stale", "conflict"),
            (True, "none", True),
            (True, "empty", "conflict"),
            (True, "foreign", "conflict"),
            (True, "stale", "conflict"),
            (True, "right", True),
        ],
    )
    def test_a_deletion_goes_by_its_condition(
        self, state: State, present: bool, condition: str, answer: bool | str
    ) -> None:
        if_etag = _condition(state, present, condition)
        try:
            seen: bool | str = state.delete("k", if_etag=if_etag)
        except ConflictError:
            seen = "conflict"

        assert answer == seen
        assert (present and answer == "conflict") == (state.get("k") is not None)

    def test_deletion_is_idempotent(self, state: State) -> None:
        state.put("k", b"v")

        assert (True, False) == (state.delete("k"), state.delete("k"))

    def test_of_many_who_write_with_one_etag_one_wins(self, state: State) -> None:
        etag = state.put("k", b"v")
        with ThreadPoolExecutor(8) as pool:
            won = list(
                pool.map(lambda n: _succeeds(lambda: state.put("k", b"%d" % n, if_etag=etag)), range(8))
            )

        assert 1 == won.count(True)

    def test_of_many_who_write_first_one_wins(self, state: State) -> None:
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(lambda n: _succeeds(lambda: state.put("k", b"%d" % n, if_etag="")), range(8)))

        assert 1 == won.count(True)
        assert b"%d" % won.index(True) == state.get("k")

    # Time to live

    def test_a_value_is_there_until_its_time_is_over(self, state: State) -> None:
        stored = time.monotonic()
        state.put("k", b"v", ttl=timedelta(seconds=1))
        while state.get("k") is not None and time.monotonic() < stored + 3:
            time.sleep(0.02)

        assert 1 == pytest.approx(time.monotonic() - stored, abs=0.3)

    def test_an_expired_value_is_in_no_answer(self, state: State) -> None:
        etag = self._expired(state)

        assert state.get_item("k") is None
        assert {} == state.get_many(["k"])
        assert state.wait("k", timeout=0) is None
        assert not _succeeds(lambda: state.put("k", b"new", if_etag=etag))

    def test_an_expired_value_is_not_listed(self, state: State) -> None:
        _needs(state, StateFeature.SCAN)
        self._expired(state)

        assert [] == list(state.scan())

    def test_an_expired_value_is_not_counted_as_deleted(self, state: State) -> None:
        self._expired(state)

        assert (False, 0) == (state.delete("k"), state.delete_many(["k"]))

    def test_an_expired_value_makes_room_for_who_writes_first(self, state: State) -> None:
        self._expired(state)
        state.put("k", b"new", if_etag="")

        assert b"new" == state.get("k")

    def test_a_write_without_time_takes_the_time_away(self, state: State) -> None:
        state.put("k", b"v", ttl=SHORT)
        state.put("k", b"w")
        state.put("m", b"v", ttl=SHORT)
        state.put("m", b"w", if_etag=state.get_item("m").etag)  # type: ignore[union-attr]
        time.sleep(AFTER_SHORT_S)

        assert {"k": b"w", "m": b"w"} == state.get_many(["k", "m"])

    def test_time_is_kept_in_bulk_and_transactions(self, state: State) -> None:
        state.put_many({"a": b"v", "b": b"v"}, ttl=SHORT)
        if state.features[StateFeature.TRANSACTION]:
            state.transact([Put("c", b"v", ttl_s=SHORT.total_seconds()), Put("d", b"stays")])
        time.sleep(AFTER_SHORT_S)

        assert {} == state.get_many(["a", "b", "c"])

    @pytest.mark.parametrize("ttl", [0, -1, timedelta(0), "1", float("nan")], ids=repr)
    def test_what_is_no_time_is_refused(self, state: State, ttl: Any) -> None:
        with pytest.raises(InvalidArgumentError):
            state.put("k", b"v", ttl=ttl)

    # Many keys

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

    def test_no_keys_are_no_trouble(self, state: State) -> None:
        assert ({}, {}, 0) == (state.get_many([]), state.put_many({}), state.delete_many([]))

    def test_conditions_in_bulk_hold_for_each(self, driver: StateDriver[Any], state: State) -> None:
        state.put("a", b"old")
        etags = compensated(driver).put_many([Put("a", b"new", if_etag=""), Put("b", b"new", if_etag="")])

        assert [True, False] == [etag is None for etag in etags]
        assert {"a": b"old", "b": b"new"} == state.get_many(["a", "b"])

    # Transactions

    def test_without_transactions_says_so(self, state: State) -> None:
        if state.features[StateFeature.TRANSACTION]:
            pytest.skip("it has transactions")

        with pytest.raises(UnsupportedError, match="transaction"):
            state.transact([Put("k", b"v")])

    def test_a_transaction_does_all(self, state: State) -> None:
        _needs(state, StateFeature.TRANSACTION)
        etag = state.put("old", b"v")
        state.transact(
            [Put("a", b"1"), Put("b", b"2", if_etag=""), Delete("old", if_etag=etag), Delete("none")]
        )

        assert {"a": b"1", "b": b"2"} == state.get_many(["a", "b", "old"])

    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_a_transaction_with_a_failing_condition_does_nothing(self, state: State, place: int) -> None:
        _needs(state, StateFeature.TRANSACTION)
        state.put("k", b"v")
        operations: list[Put | Delete] = [Put("a", b"1"), Delete("k")]
        operations.insert(place, Put("b", b"2", if_etag="no such etag"))
        with pytest.raises(ConflictError):
            state.transact(operations)

        assert {"k": b"v"} == state.get_many(["a", "b", "k"])

    def test_a_key_twice_in_a_transaction_is_refused(self, state: State) -> None:
        _needs(state, StateFeature.TRANSACTION)
        with pytest.raises(InvalidArgumentError, match="twice"):
            state.transact([Put("k", b"v"), Delete("k")])

    def test_an_empty_transaction_does_nothing(self, state: State) -> None:
        _needs(state, StateFeature.TRANSACTION)

        state.transact([])

    def test_nobody_sees_half_a_transaction(self, state: State) -> None:
        _needs(state, StateFeature.TRANSACTION)
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
        _needs(state, StateFeature.TRANSACTION)
        etag = state.put("k", b"v")

        def attempt(number: int) -> bool:
            return _succeeds(lambda: state.transact([Put("k", b"w", if_etag=etag), Put(f"by {number}", b"")]))

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(attempt, range(8)))

        assert 1 == won.count(True)
        assert [f"by {won.index(True)}"] == list(state.get_many(f"by {number}" for number in range(8)))

    # Listing

    def test_without_listing_says_so(self, state: State) -> None:
        if state.features[StateFeature.SCAN]:
            pytest.skip("it can list keys")

        with pytest.raises(UnsupportedError, match="scan"):
            state.scan()

    def test_each_key_is_listed_once(self, state: State) -> None:
        _needs(state, StateFeature.SCAN)
        keys = [f"key {number}" for number in range(1200)]
        state.put_many(dict.fromkeys(keys, b""))

        assert sorted(keys) == sorted(state.scan())

    @pytest.mark.parametrize(
        "prefix", sorted({key[:1] for key in ODD_KEYS} | {"a*", "a[", "a:", "\\*"}), ids=ascii
    )
    def test_only_keys_with_the_prefix_are_listed(self, state: State, prefix: str) -> None:
        _needs(state, StateFeature.SCAN)
        state.put_many(dict.fromkeys(ODD_KEYS, b""))

        assert sorted(key for key in ODD_KEYS if key.startswith(prefix)) == sorted(state.scan(prefix))

    def test_a_deleted_key_is_not_listed(self, state: State) -> None:
        _needs(state, StateFeature.SCAN)
        state.put_many({"a": b"", "b": b""})
        state.delete("a")

        assert ["b"] == list(state.scan())

    def test_writes_go_on_while_keys_are_listed(self, state: State) -> None:
        _needs(state, StateFeature.SCAN)
        state.put_many({f"key {number}": b"" for number in range(1200)})
        for key in state.scan():
            state.delete(key)

        assert [] == list(state.scan())

    # Adding

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
    def test_what_is_no_number_is_left_as_it_is(self, state: State, value: bytes) -> None:
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
        for _ in range(3):
            state.increment("n", ttl=SHORT)
            time.sleep(0.05)
        time.sleep(AFTER_SHORT_S - 0.1)

        assert 1 == state.increment("n")

    def test_adding_keeps_a_value_for_good(self, state: State) -> None:
        state.put("n", b"1")
        state.increment("n", ttl=SHORT)
        time.sleep(AFTER_SHORT_S)

        assert 3 == state.increment("n")

    def test_no_increment_of_many_threads_is_lost(self, state: State) -> None:
        with ThreadPoolExecutor(8) as pool:
            sums = list(pool.map(lambda _: state.increment("n"), range(200)))

        assert list(range(1, 201)) == sorted(sums)

    def test_no_increment_of_many_processes_is_lost(self, connect: Connect, state: State) -> None:
        _needs(state, StateFeature.SHARED)

        def add(_number: int) -> list[int]:
            with State(connect()) as mine:
                return [mine.increment("n") for _ in range(50)]

        sums = [number for numbers in in_children(3, add) for number in numbers]

        assert list(range(1, 151)) == sorted(sums)

    # Waiting

    def test_waiting_for_what_is_there_returns_at_once(self, state: State) -> None:
        etag = state.put("k", b"v")
        started = time.monotonic()

        assert etag == state.wait("k", timeout=5).etag  # type: ignore[union-attr]
        assert etag == state.wait("k", "an older etag", timeout=5).etag  # type: ignore[union-attr]
        assert time.monotonic() - started < 0.5

    def test_waiting_in_vain_ends_in_time(self, state: State) -> None:
        etag = state.put("k", b"v")
        started = time.monotonic()

        assert state.wait("k", etag, timeout=timedelta(seconds=0.3)) is None
        assert 0.3 == pytest.approx(time.monotonic() - started, abs=0.15)

    def test_a_change_with_notice_wakes_at_once(self, state: State) -> None:
        assert self._wake_up_s(state, lambda: state.put("k", b"v", notify=True)) < self.wakes_within_s(
            state, 0.2
        )

    def test_a_change_without_notice_wakes_within_a_second(self, state: State) -> None:
        assert self._wake_up_s(state, lambda: state.put("k", b"v")) < 1.2

    def test_notice_is_given_in_bulk_and_conditional_writes(self, state: State) -> None:
        limit_s = self.wakes_within_s(state, 0.2)

        assert self._wake_up_s(state, lambda: state.put_many({"k": b"v"}, notify=True)) < limit_s
        assert self._wake_up_s(state, lambda: state.put("k", b"v", if_etag="", notify=True)) < limit_s

    def test_notice_is_given_in_transactions(self, state: State) -> None:
        _needs(state, StateFeature.TRANSACTION)
        limit_s = self.wakes_within_s(state, 0.2)

        assert self._wake_up_s(state, lambda: state.transact([Put("k", b"v", notify=True)])) < limit_s

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

    def test_all_who_wait_for_a_key_are_woken(self, state: State) -> None:
        with ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(state.wait, "k", timeout=10) for _ in range(8)]
            time.sleep(0.1)
            etag = state.put("k", b"v", notify=True)

            assert [etag] * 8 == [future.result().etag for future in waiting]  # type: ignore[union-attr]

    def test_each_who_waits_gets_the_key_it_waits_for(self, state: State) -> None:
        keys = [f"k{number}" for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(state.wait, key, timeout=10) for key in keys]
            for key in keys:
                state.put(key, key.encode(), notify=True)

            assert [key.encode() for key in keys] == [future.result().value for future in waiting]  # type: ignore[union-attr]

    def test_a_change_by_another_wakes(self, state: State, other: State) -> None:
        assert self._wake_up_s(state, lambda: other.put("k", b"v", notify=True)) < self.wakes_within_s(
            state, 0.2
        )

    def test_a_change_by_another_process_wakes(self, connect: Connect, state: State) -> None:
        _needs(state, StateFeature.SHARED)

        def write() -> str:
            time.sleep(0.3)
            with State(connect()) as mine:
                return mine.put("k", b"v", notify=True)

        child = Child(write)
        item = state.wait("k", timeout=10)

        assert child.result() == item.etag  # type: ignore[union-attr]

    # Sharing, forks, crashes

    def test_values_are_shared_if_it_says_so(self, connect: Connect, state: State) -> None:
        state.put("k", b"v")
        with State(connect()) as other:
            assert bool(state.features[StateFeature.SHARED]) == (other.get("k") == b"v")

    def test_values_last_if_it_says_so(self, connect: Connect) -> None:
        with State(connect()) as first:
            etag = first.put("k", b"v")
            lasts = bool(first.features[StateFeature.DURABLE] or first.features[StateFeature.SHARED])
        with State(connect()) as second:
            assert lasts == _succeeds(lambda: second.put("k", b"w", if_etag=etag))

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
        _needs(state, StateFeature.SHARED)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(state.wait, "k", timeout=10)
            time.sleep(0.1)  # so that the fork happens while somebody waits

            def child() -> bool:
                state.forget()
                state.put("child is here", b"", notify=True)
                return state.wait("k", timeout=10) is not None

            forked = Child(child)
            assert state.wait("child is here", timeout=10) is not None
            state.put("k", b"v", notify=True)

            assert waiting.result() is not None
            assert forked.result()

    # Closing

    def test_ping_says_something_about_the_engine(self, state: State) -> None:
        assert state.ping()

    def test_a_second_close_does_nothing(self, driver: StateDriver[Any]) -> None:
        state = State(driver)
        state.put("k", b"v")
        state.close()

        state.close()

    def test_calls_after_close_say_so(self, driver: StateDriver[Any]) -> None:
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

    def wakes_within_s(self, state: State, told_s: float) -> float:
        """Return how soon a change with notice must wake: *told_s*, or the core's longest pause where it polls."""
        return told_s if state.features[StateFeature.WAIT].by_driver else 1.2

    def _wake_up_s(self, state: State, write: Callable[[], object]) -> float:
        """Return the seconds from *write* to the return of who waited for `k`, which has no value at first."""
        state.delete("k")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(lambda: (state.wait("k", timeout=10), time.monotonic()))
            time.sleep(0.3)
            written = time.monotonic()
            write()
            item, woken = waiting.result()
        assert item is not None
        return woken - written

    def _expired(self, state: State) -> str:
        """Store a value for a short time at `k`, wait that time, and return its etag."""
        etag = state.put("k", b"v", ttl=SHORT)
        time.sleep(AFTER_SHORT_S)
        return etag


def _needs(holder: State | StateDriver[Any], feature: StateFeature) -> None:
    support = holder.features[feature]
    if not support:
        pytest.skip(f"no {feature}: {support.note}")


def _succeeds(call: Callable[[], object]) -> bool:
    try:
        call()
    except ConflictError:
        return False
    return True


def _condition(state: State, present: bool, condition: str) -> str | None:
    """Bring `k` into the state wanted and return an etag of the kind wanted."""
    stale = state.put("k", b"older")
    right = state.put("k", b"old")
    if not present:
        state.delete("k")
    return {"none": None, "empty": "", "foreign": "no such etag", "stale": stale, "right": right}[condition]


def _write(state: State, operation: str, if_etag: str | None) -> None:
    if operation == "put":
        state.put("k", b"new", if_etag=if_etag)
    else:
        state.transact([Put("k", b"new", if_etag=if_etag)])
