"""Compensation of abilities that a driver leaves to the core; each is a driver over the driver.

A driver with all abilities is used without a wrapper, so compensation costs nothing where it is not needed.
"""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
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
from capa_core.driver import DriverOver
from capa_core.errors import DataLossError, UnavailableError, UnsupportedError

_EXPIRY = struct.Struct(">Q")
_NEVER = 0
_LONGEST_TTL_S = 10**16
"""The largest time to live whose expiry, in milliseconds since the epoch, has 64 bits."""
_SCAN_BATCH = 100
_ADD_TRIES = 1000
_FIRST_POLL_S = 0.005
_LONGEST_POLL_S = 0.5


def compensated(driver: StateDriver[Any]) -> StateDriver[Any]:
    """Return *driver* with its missing abilities compensated; the driver itself if none can be.

    Raises:
        UnsupportedError: It lacks ETAG, which cannot be compensated.
    """

    def lacks(feature: StateFeature) -> bool:
        return not driver.features[feature].by_driver

    if lacks(StateFeature.ETAG):
        raise UnsupportedError(
            f"{type(driver).__name__} has no etags, so it cannot be a state component."
            " Choose another driver in capa.toml."
        )
    whole = driver
    if lacks(StateFeature.BULK):
        whole = OneByOne(whole)
    if lacks(StateFeature.TTL) or lacks(StateFeature.INCREMENT):
        whole = Enveloped(whole)
    if lacks(StateFeature.WAIT) or isinstance(whole, Enveloped):
        whole = Polled(whole)
    return whole


class _Wrapper(DriverOver[Any], StateDriver[Any]):
    """A driver that passes every call on to another."""

    gives: tuple[StateFeature, ...] = ()

    def __init__(self, driver: StateDriver[Any]) -> None:
        super().__init__(driver.settings)
        self._driver = driver
        self.features: Mapping[Feature, Support] = {**driver.features, **dict.fromkeys(self.gives, BY_CORE)}  # type: ignore[misc] # of this object only

    @property
    def under(self) -> StateDriver[Any]:
        """See `DriverOver.under`."""
        return self._driver

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
        """See `StateDriver.inspect`."""
        return self._driver.inspect(most)


class OneByOne(_Wrapper):
    """BULK for a driver with single calls only: one round trip for each key."""

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


class Enveloped(_Wrapper):
    """TTL and INCREMENT for a driver with etags only.

    Each value is stored behind eight bytes: its expiry in milliseconds since the epoch, big-endian, 0 for never.
    Expiry follows the clocks of the processes. An expired value is removed when a call finds it.
    """

    gives = (StateFeature.TTL, StateFeature.INCREMENT)

    @property
    def limits(self) -> StateLimits:
        """See `StateDriver.limits`: the expiry takes a part of the value."""
        limits = self._driver.limits
        most = limits.max_value_bytes
        return replace(
            limits,
            max_value_bytes=None if most is None else most - _EXPIRY.size,
            max_ttl_s=_LONGEST_TTL_S if limits.max_ttl_s is None else min(limits.max_ttl_s, _LONGEST_TTL_S),
        )

    def get(self, key: str) -> StateItem | None:
        """See `StateDriver.get`."""
        return self._without_expiry(self._driver.get(key))

    def put(self, write: Put) -> str | None:
        """See `StateDriver.put`."""
        self._remove_expired(write)
        return self._driver.put(_with_expiry(write))

    def delete(self, deletion: Delete) -> bool | None:
        """See `StateDriver.delete`."""
        self.get(deletion.key)  # removes it if it has expired, so that it does not count as a value
        return self._driver.delete(deletion)

    def get_many(self, keys: Sequence[str]) -> list[StateItem | None]:
        """See `StateDriver.get_many`."""
        return [self._without_expiry(item) for item in self._driver.get_many(keys)]

    def put_many(self, writes: Sequence[Put]) -> list[str | None]:
        """See `StateDriver.put_many`."""
        for write in writes:
            self._remove_expired(write)
        return self._driver.put_many([_with_expiry(write) for write in writes])

    def delete_many(self, keys: Sequence[str]) -> int:
        """See `StateDriver.delete_many`."""
        self.get_many(keys)
        return self._driver.delete_many(keys)

    def transact(self, operations: Sequence[Put | Delete]) -> bool:
        """See `StateDriver.transact`."""
        for operation in operations:
            self._remove_expired(operation)
        return self._driver.transact([_with_expiry(op) if isinstance(op, Put) else op for op in operations])

    def scan(self, prefix: str) -> Iterator[str]:
        """See `StateDriver.scan`."""
        keys = self._driver.scan(prefix)
        while batch := list(islice(keys, _SCAN_BATCH)):
            yield from (item.key for item in self.get_many(batch) if item is not None)

    def inspect(self, most: int) -> StateStatus:
        """See `StateDriver.inspect`; without SCAN, expired keys that no call has found yet are counted too."""
        status = self._driver.inspect(most)
        if not self.features[StateFeature.SCAN]:
            return status
        living = sum(1 for _ in islice(self.scan(""), most + 1))
        return replace(status, keys=min(living, most), complete=living <= most)

    def increment(self, key: str, by: int, ttl_s: float | None) -> int:
        """See `StateDriver.increment`: by etag, again while others come between."""
        for attempt in range(_ADD_TRIES):
            stored = self._driver.get(key)
            item = self._without_expiry(stored)
            total = added(key, item.value if item else None, by)
            if item is None or stored is None:
                write = _with_expiry(Put(key, str(total).encode(), ttl_s, if_etag=""))
            else:
                write = Put(key, stored.value[: _EXPIRY.size] + str(total).encode(), if_etag=stored.etag)
            if self._driver.put(write) is not None:
                return total
            time.sleep(random.uniform(0, 0.001 * min(attempt, 20)))  # noqa: S311 - no secret
        raise UnavailableError(
            f"{key!r}: other writes came first {_ADD_TRIES} times. Nothing was added; try again."
        )

    def _remove_expired(self, operation: Put | Delete) -> None:
        """Remove an expired value if a condition on the etag would see it."""
        if operation.if_etag is not None:
            self.get(operation.key)

    def _without_expiry(self, stored: StateItem | None) -> StateItem | None:
        if stored is None:
            return None
        if len(stored.value) < _EXPIRY.size:
            raise DataLossError(
                f"{stored.key!r} was not written by Capa: no expiry before the value. It was left unchanged;"
                " delete it or use another key."
            )
        (expiry_ms,) = _EXPIRY.unpack_from(stored.value)
        if expiry_ms != _NEVER and expiry_ms <= time.time() * 1000:
            self._driver.delete(Delete(stored.key, stored.etag))
            return None
        return StateItem(stored.key, stored.value[_EXPIRY.size :], stored.etag)


class Polled(_Wrapper):
    """WAIT for a driver without notifications: polls every 5 ms at first, then less often, down to every 0.5 s."""

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


def _with_expiry(write: Put) -> Put:
    expiry_ms = _NEVER if write.ttl_s is None else int((time.time() + write.ttl_s) * 1000)
    return replace(write, value=_EXPIRY.pack(expiry_ms) + write.value, ttl_s=None)
