"""Etags: one of several concurrent writers wins."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from capa_core.blocks.state import Put, State, StateFeature
from capa_core.conformance._state.suite import (
    Suite,
    needs,
    succeeds,
)
from capa_core.errors import ConflictError


class EtagPromises(Suite):
    """The promises of etags and conditional writes."""

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
            needs(state, StateFeature.TRANSACTION)
        if_etag = _prepared(state, present, condition)

        assert stored == succeeds(lambda: _write(state, operation, if_etag))
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
        if_etag = _prepared(state, present, condition)
        try:
            seen: bool | str = state.delete("k", if_etag=if_etag)
        except ConflictError:
            seen = "conflict"

        assert answer == seen
        assert (present and answer == "conflict") == (state.get("k") is not None)

    def test_deletion_is_idempotent(self, state: State) -> None:
        state.put("k", b"v")

        assert (True, False) == (state.delete("k"), state.delete("k"))

    def test_one_of_many_writers_with_one_etag_wins(self, state: State) -> None:
        etag = state.put("k", b"v")
        with ThreadPoolExecutor(8) as pool:
            won = list(
                pool.map(lambda n: succeeds(lambda: state.put("k", b"%d" % n, if_etag=etag)), range(8))
            )

        assert 1 == won.count(True)

    def test_one_of_many_first_writers_wins(self, state: State) -> None:
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(lambda n: succeeds(lambda: state.put("k", b"%d" % n, if_etag="")), range(8)))

        assert 1 == won.count(True)
        assert b"%d" % won.index(True) == state.get("k")


def _prepared(state: State, present: bool, condition: str) -> str | None:
    """Store or delete `k` as *present* requires, and return an etag of the kind *condition*."""
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
