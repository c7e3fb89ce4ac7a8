"""Conformance of a minimal driver, which measures the compensation by the core."""

import itertools
import threading
from collections.abc import Iterator, Sequence

import pytest

from capa_core.abilities import BY_CORE, NATIVE, absent
from capa_core.blocks.state import Delete, Put, StateDriver, StateFeature, StateItem
from capa_core.components.memory.state import MemoryStateSettings
from capa_core.conformance.state import Connect, StateConformance


class BareState(StateDriver[MemoryStateSettings]):
    """A driver with etags only, on a dictionary."""

    settings_type = MemoryStateSettings
    features = {
        StateFeature.ETAG: NATIVE,
        **dict.fromkeys(
            (StateFeature.TTL, StateFeature.BULK, StateFeature.WAIT, StateFeature.INCREMENT), BY_CORE
        ),
        **dict.fromkeys(
            (StateFeature.TRANSACTION, StateFeature.SCAN, StateFeature.INSPECT),
            absent("left out for the test"),
        ),
        **dict.fromkeys((StateFeature.SHARED, StateFeature.DURABLE), absent("memory of one process")),
    }

    def __init__(self) -> None:
        super().__init__(MemoryStateSettings())
        self._items: dict[str, StateItem] = {}
        self._etags = itertools.count()
        self._lock = threading.RLock()

    def get(self, key: str) -> StateItem | None:
        return self._items.get(key)

    def put(self, write: Put) -> str | None:
        assert write.ttl_s is None, "the core keeps the time"
        with self._lock:
            if not self._holds(write):
                return None
            item = self._items[write.key] = StateItem(write.key, write.value, f"e{next(self._etags)}")
            return item.etag

    def delete(self, deletion: Delete) -> bool | None:
        with self._lock:
            return self._items.pop(deletion.key, None) is not None if self._holds(deletion) else None

    def ping(self) -> str:
        return "bare"

    def close(self) -> None:
        pass

    def forget(self) -> None:
        self._lock = threading.RLock()

    def _holds(self, operation: Put | Delete) -> bool:
        item = self._items.get(operation.key)
        return operation.if_etag in (None, item.etag if item else "")


class ListingState(BareState):
    """A driver with etags, transactions and listing, which the core's expiry must cover."""

    features = {**BareState.features, StateFeature.TRANSACTION: NATIVE, StateFeature.SCAN: NATIVE}

    def transact(self, operations: Sequence[Put | Delete]) -> bool:
        with self._lock:
            if not all(self._holds(operation) for operation in operations):
                return False
            after = {op.key: op for op in operations}
            kept = {key: item for key, item in self._items.items() if key not in after}
            puts = [op for op in operations if isinstance(op, Put)]
            self._items = kept | {op.key: StateItem(op.key, op.value, f"e{next(self._etags)}") for op in puts}
            return True

    def scan(self, prefix: str) -> Iterator[str]:
        return iter([key for key in self._items if key.startswith(prefix)])


class TestBareState(StateConformance):
    @pytest.fixture
    def connect(self) -> Connect:
        return BareState


class TestListingState(StateConformance):
    @pytest.fixture
    def connect(self) -> Connect:
        return ListingState
