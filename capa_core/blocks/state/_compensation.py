"""What the core does for a driver that leaves it to the core: each is a driver over the driver.

A driver that has all abilities itself is used bare, so nobody pays for what others lack.
"""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from capa_core.abilities import BY_CORE, Feature, Support
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
from capa_core.errors import DataLossError, UnavailableError, UnsupportedError

_EXPIRY = struct.Struct(">Q")
_NEVER = 0
_LONGEST_TTL_S = 10**16
"""Beyond this the expiry, in milliseconds since the epoch, has more than 64 bits."""
_SCAN_BATCH = 100
_ADD_TRIES = 1000
_FIRST_POLL_S = 0.005
_LONGEST_POLL_S = 0.5


def compensated(driver: StateDriver[Any]) -> StateDriver[Any]:
    """Return *driver* with what it lacks made up for, or itself if it lacks nothing that can be.

    Raises:
        UnsupportedError: It has no ETAG, for which nothing can make up.
    """

    def lacks(feature: StateFeature) -> bool:
        return not driver.features[feature].by_driver

    if lacks(StateFeature.ETAG):
        raise UnsupportedError(f"{type(driver).__name__} has no etags, so it cannot be a state component")
    whole = driver
    if lacks(StateFeature.BULK):
        whole = OneByOne(whole)
    if lacks(StateFeature.TTL) or lacks(StateFeature.INCREMENT):
        whole = Enveloped(whole)
    if lacks(StateFeature.WAIT) or isinstance(whole, Enveloped):
        whole = Polled(whole)
    return whole


class _Over(StateDriver[Any]):
    """Passes every call on."""

    gives: tuple[StateFeature, ...] = ()

    def __init__(self, driver: StateDriver[Any]) -> None:
        super().__init__(driver.settings)
        self._driver = driver
        self.features: Mapping[Feature, Support] = {**driver.features, **dict.fromkeys(self.gives, BY_CORE)}  # type: ignore[misc] # of this one object

    @property
    def limits(self) -> StateLimits:
        """See `StateDriver.limits`."""
        return self._driver.limits

    def get(self, key: str) -> StateItem | None:
        """See `StateDriver.get`."""
        return self._driver.get(key)

    def put(self, write: Put) -> str | None:
        """See `StateDriver.put`."""
        return self._driver.put(write)

    def delete(self, deletion: Delete) -> bool | None:
        """See `StateDriver.delete`."""
        return self._driver.delete(deletion)

    def get_many(self, keys: Sequence[str]) -> list[StateItem | None]:
        """See `StateDriver.get_many`."""
        return self._driver.get_many(keys)

    def put_many(self, writes: Sequence[Put]) -> list[str | None]:
        """See `StateDriver.put_many`."""
        return self._driver.put_many(writes)

    def delete_many(self, keys: Sequence[str]) -> int:
        """See `StateDriver.delete_many`."""
        return self._driver.delete_many(keys)

    def transact(self, operations: Sequence[Put | Delete]) -> bool:
        """See `StateDriver.transact`."""
        return self._driver.transact(operations)

    def scan(self, prefix: str) -> Iterator[str]:
        """See `StateDriver.scan`."""
        return self._driver.scan(prefix)

    def increment(self, key: str, by: int, ttl_s: float | None) -> int:
        """See `StateDriver.increment`."""
        return self._driver.increment(key, by, ttl_s)

    def wait(self, key: str, etag: str, timeout_s: float) -> StateItem | None:
        """See `StateDriver.wait`."""
        return self._driver.wait(key, etag, timeout_s)

    def inspect(self, most: int) -> StateStatus:
        """See `StateDriver.inspect`; what has expired and was not come across yet is counted too."""
        return self._driver.inspect(most)

    def clients(self) -> Mapping[type[Any], Callable[[], Any]]:
        """See `Driver.clients`."""
        return self._driver.clients()

    def ping(self) -> str:
        """See `Driver.ping`."""
        return self._driver.ping()

    def close(self) -> None:
        """See `Driver.close`."""
        self._driver.close()

    def forget(self) -> None:
        """See `Driver.forget`."""
        self._driver.forget()


class OneByOne(_Over):
    """BULK for a driver that has single calls only: one trip for each key."""

    gives = (StateFeature.BULK,)

    def get_many(self, keys: Sequence[str]) -> list[StateItem | None]:
        """See `StateDriver.get_many`."""
        return [self._driver.get(key) for key in keys]

    def put_many(self, writes: Sequence[Put]) -> list[str | None]:
        """See `StateDriver.put_many`."""
        return [self._driver.put(write) for write in writes]

    def delete_many(self, keys: Sequence[str]) -> int:
        """See `StateDriver.delete_many`."""
        return sum(self._driver.delete(Delete(key)) is True for key in keys)


class Enveloped(_Over):
    """TTL and INCREMENT for a driver with etags only.

    Each value is stored behind eight bytes: its expiry in milliseconds since the epoch, big-endian, 0 for never.
    Expiry goes by the clocks of the processes. What has expired is removed when somebody comes across it.
    """

    gives = (StateFeature.TTL, StateFeature.INCREMENT)

    @property
    def limits(self) -> StateLimits:
        """See `StateDriver.limits`: the expiry takes a part of what the engine holds."""
        limits = self._driver.limits
        most = limits.max_value_bytes
        return replace(
            limits,
            max_value_bytes=None if most is None else most - _EXPIRY.size,
            max_ttl_s=_LONGEST_TTL_S if limits.max_ttl_s is None else min(limits.max_ttl_s, _LONGEST_TTL_S),
        )

    def get(self, key: str) -> StateItem | None:
        """See `StateDriver.get`."""
        return self._opened(self._driver.get(key))

    def put(self, write: Put) -> str | None:
        """See `StateDriver.put`."""
        self._clear_way(write)
        return self._driver.put(_sealed(write))

    def delete(self, deletion: Delete) -> bool | None:
        """See `StateDriver.delete`."""
        self.get(deletion.key)  # removes it if it has expired, so that it does not count as there
        return self._driver.delete(deletion)

    def get_many(self, keys: Sequence[str]) -> list[StateItem | None]:
        """See `StateDriver.get_many`."""
        return [self._opened(item) for item in self._driver.get_many(keys)]

    def put_many(self, writes: Sequence[Put]) -> list[str | None]:
        """See `StateDriver.put_many`."""
        for write in writes:
            self._clear_way(write)
        return self._driver.put_many([_sealed(write) for write in writes])

    def delete_many(self, keys: Sequence[str]) -> int:
        """See `StateDriver.delete_many`."""
        self.get_many(keys)
        return self._driver.delete_many(keys)

    def transact(self, operations: Sequence[Put | Delete]) -> bool:
        """See `StateDriver.transact`."""
        for operation in operations:
            self._clear_way(operation)
        return self._driver.transact([_sealed(op) if isinstance(op, Put) else op for op in operations])

    def scan(self, prefix: str) -> Iterator[str]:
        """See `StateDriver.scan`."""
        keys = self._driver.scan(prefix)
        while batch := list(islice(keys, _SCAN_BATCH)):
            yield from (item.key for item in self.get_many(batch) if item is not None)

    def increment(self, key: str, by: int, ttl_s: float | None) -> int:
        """See `StateDriver.increment`: by etag, again while others come between."""
        for attempt in range(_ADD_TRIES):
            stored = self._driver.get(key)
            item = self._opened(stored)
            total = added(key, item.value if item else None, by)
            if item is None or stored is None:
                write = _sealed(Put(key, str(total).encode(), ttl_s, if_etag=""))
            else:
                write = Put(key, stored.value[: _EXPIRY.size] + str(total).encode(), if_etag=stored.etag)
            if self._driver.put(write) is not None:
                return total
            time.sleep(random.uniform(0, 0.001 * min(attempt, 20)))  # noqa: S311 - no secret
        raise UnavailableError(f"{key!r}: others wrote it {_ADD_TRIES} times in between. Nothing was added.")

    def _clear_way(self, operation: Put | Delete) -> None:
        """Remove what has expired where a condition on the etag would see it."""
        if operation.if_etag is not None:
            self.get(operation.key)

    def _opened(self, stored: StateItem | None) -> StateItem | None:
        if stored is None:
            return None
        if len(stored.value) < _EXPIRY.size:
            raise DataLossError(
                f"{stored.key!r} was not written by Capa: no expiry before the value. It was left."
            )
        (expiry_ms,) = _EXPIRY.unpack_from(stored.value)
        if expiry_ms != _NEVER and expiry_ms <= time.time() * 1000:
            self._driver.delete(Delete(stored.key, stored.etag))
            return None
        return StateItem(stored.key, stored.value[_EXPIRY.size :], stored.etag)


class Polled(_Over):
    """WAIT for a driver that cannot be told: a look every 5 ms at first, then ever more rarely up to 0.5 s."""

    gives = (StateFeature.WAIT,)

    def wait(self, key: str, etag: str, timeout_s: float) -> StateItem | None:
        """See `StateDriver.wait`."""
        end = time.monotonic() + timeout_s
        pause_s = _FIRST_POLL_S
        while True:
            item = self._driver.get(key)
            if item is not None and item.etag != etag:
                return item
            left_s = end - time.monotonic()
            if left_s <= 0:
                return None
            time.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 1.5, _LONGEST_POLL_S)


def _sealed(write: Put) -> Put:
    expiry_ms = _NEVER if write.ttl_s is None else int((time.time() + write.ttl_s) * 1000)
    return replace(write, value=_EXPIRY.pack(expiry_ms) + write.value, ttl_s=None)
