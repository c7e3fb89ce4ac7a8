"""Fixtures of the suite, and functions that its tests share."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from capa_core.blocks.state import State, StateDriver, StateFeature
from capa_core.conformance._tolerance import PATIENCE_S, is_prompt, woken_s
from capa_core.errors import ConflictError

Connect = Callable[[], StateDriver[Any]]

ODD_KEYS = [
    *"kK%_:'\"\\*?]-/é鍵🔑 \n\x00\x7f\ud7ff\ue000\uffff\U0010ffff",  # each character is a key
    *["a%b", "a_b", "a:b", "a*b", "[ab]", "[^a]", "a[", "\\*", "{tag}", "}{", "{}", "a/b/../c", "..", "ключ"],
    *["e\u0301", "  ", "a\x00b", "x" * 512, "🔑" * 512],
]
SHORT = timedelta(milliseconds=250)
AFTER_SHORT_S = 0.4


class Suite(ABC):
    """The fixtures of every test."""

    @pytest.fixture
    @abstractmethod
    def connect(self) -> Connect:
        """Return a function that opens a driver on one store, which is initially empty; each call opens another."""

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
        """Yield another portable object on the same store, like that of another process."""
        needs(driver, StateFeature.SHARED)
        with State(connect(), name="conformance") as other:
            yield other

    def wakes_at_once(self, state: State, write: Callable[[], object]) -> bool:
        """Return whether *write*, with *notify*, wakes the waiter for `k` at once: later if the core polls."""
        return self.wakes(state, write, 0.2 if state.features[StateFeature.WAIT].by_driver else 1.2)

    def wakes(self, state: State, write: Callable[[], object], within_s: float) -> bool:
        """Return whether *write* wakes the waiter for `k`, which has no value at first, in time."""

        def seconds() -> float:
            state.delete("k")
            return woken_s(lambda: state.wait("k", timeout=PATIENCE_S), write)

        return is_prompt(seconds, within_s)

    def expired(self, state: State) -> str:
        """Store a value for a short time at `k`, wait that time, and return its etag."""
        etag = state.put("k", b"v", ttl=SHORT)
        time.sleep(AFTER_SHORT_S)
        return etag


def needs(holder: State | StateDriver[Any], feature: StateFeature) -> None:
    """Skip the test if the component declares *feature* absent."""
    support = holder.features[feature]
    if not support:
        pytest.skip(f"no {feature}: {support.note}")


def succeeds(call: Callable[[], object]) -> bool:
    """Return whether *call* succeeds rather than raise a conflict."""
    try:
        call()
    except ConflictError:
        return False
    return True
