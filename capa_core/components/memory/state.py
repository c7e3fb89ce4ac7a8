"""State in the memory of this process: for tests, and for data that may be lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from pydantic import BaseModel, ConfigDict, Field

from capa_core.abilities import NATIVE, absent
from capa_core.blocks.state.driver import (
    Delete,
    Put,
    StateDriver,
    StateFeature,
    StateItem,
    StateLimits,
    StateStatus,
    added,
)

_SWEEP_EVERY = 1000


class MemoryStateSettings(BaseModel):
    """Limits.

    Attributes:
        max_value_bytes: The largest value; with the limit of the engine in production, a test finds values that would
            not fit there. `None` for no limit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_value_bytes: int | None = Field(default=None, gt=0)


@dataclass(frozen=True, slots=True)
class _Stored:
    item: StateItem
    expires: float | None


class MemoryState(StateDriver[MemoryStateSettings]):
    """Values in a dictionary per component. A forked child continues with a copy."""

    settings_type = MemoryStateSettings
    features = {
        **dict.fromkeys(StateFeature, NATIVE),
        StateFeature.SHARED: absent("each process has its own memory"),
        StateFeature.DURABLE: absent("memory ends with the process"),
    }

    def __init__(self, settings: MemoryStateSettings) -> None:
        super().__init__(settings)
        self._stored: dict[str, _Stored] = {}
        self._etags = count(1)
        self._changed = threading.Condition()
        self._until_sweep = _SWEEP_EVERY

    @property
    def limits(self) -> StateLimits:
        """See `StateDriver.limits`."""
        return StateLimits(max_value_bytes=self.settings.max_value_bytes)

    def get(self, key: str) -> StateItem | None:
        """See `StateDriver.get`."""
        stored = self._stored.get(key)  # a single look-up is atomic and needs no lock
        if stored is None or (stored.expires is not None and stored.expires <= time.monotonic()):
            return None
        return stored.item

    def get_many(self, keys: Sequence[str]) -> list[StateItem | None]:
        """See `StateDriver.get_many`."""
        return [self.get(key) for key in keys]

    def put(self, write: Put) -> str | None:
        """See `StateDriver.put`."""
        with self._changed:
            if not self._holds(write):
                return None
            stored = self._stored[write.key] = self._after(write)
            self._sweep_sometimes()
            self._changed.notify_all()
            return stored.item.etag

    def put_many(self, writes: Sequence[Put]) -> list[str | None]:
        """See `StateDriver.put_many`."""
        return [self.put(write) for write in writes]

    def delete(self, deletion: Delete) -> bool | None:
        """See `StateDriver.delete`."""
        with self._changed:
            if not self._holds(deletion):
                return None
            was_there = self.get(deletion.key) is not None
            self._stored.pop(deletion.key, None)
            return was_there

    def delete_many(self, keys: Sequence[str]) -> int:
        """See `StateDriver.delete_many`."""
        return sum(self.delete(Delete(key)) is True for key in keys)

    def transact(self, operations: Sequence[Put | Delete]) -> bool:
        """See `StateDriver.transact`."""
        with self._changed:
            if not all(self._holds(operation) for operation in operations):
                return False
            # Readers take no lock. One `update` is atomic for them, hence a deletion is first an expired value.
            self._stored.update({operation.key: self._after(operation) for operation in operations})
            for operation in operations:
                if isinstance(operation, Delete):
                    del self._stored[operation.key]
            self._changed.notify_all()
            return True

    def scan(self, prefix: str) -> Iterator[str]:
        """See `StateDriver.scan`."""
        keys = list(self._stored)
        return (key for key in keys if key.startswith(prefix) and self.get(key) is not None)

    def increment(self, key: str, by: int, ttl_s: float | None) -> int:
        """See `StateDriver.increment`."""
        with self._changed:
            item = self.get(key)
            total = added(key, item.value if item else None, by)
            expires = self._stored[key].expires if item else _expiry(ttl_s)
            self._stored[key] = _Stored(self._item(key, str(total).encode()), expires)
            self._changed.notify_all()
            return total

    def wait(self, key: str, etag: str, timeout_s: float) -> StateItem | None:
        """See `StateDriver.wait`."""

        def differs() -> StateItem | None:
            item = self.get(key)
            return item if item is not None and item.etag != etag else None

        with self._changed:
            return self._changed.wait_for(differs, timeout_s)

    def inspect(self, most: int) -> StateStatus:
        """See `StateDriver.inspect`: counting costs nothing to speak of, so *most* is not needed."""
        del most
        now = time.monotonic()
        living = [one for one in list(self._stored.values()) if one.expires is None or one.expires > now]
        return StateStatus(keys=len(living), size_bytes=sum(len(one.item.value) for one in living))

    def ping(self) -> str:
        """See `Driver.ping`."""
        return f"memory of this process, {len(self._stored)} keys"

    def close(self) -> None:
        """See `Driver.close`."""
        self._stored.clear()

    def forget(self) -> None:
        """See `Driver.forget`: another thread of the parent may have held the lock."""
        self._changed = threading.Condition()

    def _holds(self, operation: Put | Delete) -> bool:
        """Return whether the condition of *operation* is fulfilled."""
        if operation.if_etag is None:
            return True
        item = self.get(operation.key)
        return operation.if_etag == (item.etag if item else "")

    def _after(self, operation: Put | Delete) -> _Stored:
        if isinstance(operation, Put):
            return _Stored(self._item(operation.key, operation.value), _expiry(operation.ttl_s))
        return _Stored(self._item(operation.key, b""), expires=0.0)

    def _item(self, key: str, value: bytes) -> StateItem:
        return StateItem(key, value, str(next(self._etags)))

    def _sweep_sometimes(self) -> None:
        """Remove expired values, rarely enough that the cost is negligible."""
        self._until_sweep -= 1
        if self._until_sweep > 0:
            return
        self._until_sweep = max(_SWEEP_EVERY, len(self._stored))
        for key in [key for key in self._stored if self.get(key) is None]:
            del self._stored[key]


def _expiry(ttl_s: float | None) -> float | None:
    return None if ttl_s is None else time.monotonic() + ttl_s
