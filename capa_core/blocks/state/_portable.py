"""State: values by key, with etags, a time to live, transactions, counters and a wait for changes."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from capa_core.blocks.state._checks import (
    check_key,
    check_number,
    check_value,
    ttl_seconds,
)
from capa_core.blocks.state._compensation import compensated
from capa_core.blocks.state.driver import (
    Delete,
    Put,
    StateDriver,
    StateFeature,
    StateItem,
    StateLimits,
    StateStatus,
)
from capa_core.call import DEFAULT_POLICY, Policy
from capa_core.call.body import dumps, loads
from capa_core.call.cancellation import parts
from capa_core.call.checks import Duration, check_unicode, seconds
from capa_core.call.conventions import DATABASE
from capa_core.call.limits import bound, refuse
from capa_core.call.portable import Portable, counted
from capa_core.call.traits import call_traits
from capa_core.errors import ConflictError, InvalidArgumentError, UnsupportedError


class State(Portable[StateDriver[Any]]):
    """Values by key, on the engine that serves the name. Safe for many threads.

    Keys are 1 to 512 characters of any Unicode; values are bytes. An etag identifies one write of one key: passed as
    *if_etag*, it makes a write conditional on there being no later one; `""` means "only if there is no value". Any
    call may raise `UnavailableError` or `DeadlineError` (the engine did not answer), `ClosedError`, and
    `InvalidArgumentError` (before anything was done).

        etag = state.put("order-7", b"paid", ttl=timedelta(hours=1))
        state.put("order-7", b"sent", if_etag=etag)
    """

    _convention = DATABASE

    def __init__(
        self, driver: StateDriver[Any], *, name: str = "default", policy: Policy = DEFAULT_POLICY
    ) -> None:
        super().__init__("state", driver, name, policy)
        self._driver = compensated(driver)
        self._features = self._driver.features
        self._limits = self._driver.limits
        self._max_value_bytes = bound(self._limits.max_value_bytes)
        self._max_ttl_s = bound(self._limits.max_ttl_s)

    @property
    def limits(self) -> StateLimits:
        """The limits of the component; a call over one of them is refused before it is sent."""
        return self._limits

    def get(self, key: str) -> bytes | None:
        """Return the value at *key*; `None` if there is none."""
        check_key(key)
        item = self._guard.safe("get", self._driver.get, key)
        return None if item is None else item.value

    def get_item(self, key: str) -> StateItem | None:
        """Return the value at *key* with its etag; `None` if there is none."""
        check_key(key)
        return self._guard.safe("get", self._driver.get, key)

    def get_json(self, key: str) -> Any:
        """Return the value that `put_json` stored at *key*; `None` if there is none.

        Raises:
            InvalidArgumentError: The value is not JSON.
        """
        value = self.get(key)
        try:
            return None if value is None else loads(value)
        except ValueError as error:
            raise InvalidArgumentError(f"{key!r} does not hold JSON ({error}). Read it with get.") from error

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return the values of those *keys* that have one, in one round trip if the engine supports it."""
        return {key: item.value for key, item in self.get_items(keys).items()}

    def get_items(self, keys: Iterable[str]) -> dict[str, StateItem]:
        """Return the values of those *keys* that have one, with their etags."""
        wanted = _checked(keys)
        if not wanted:
            return {}
        items = self._guard.safe("get_many", self._driver.get_many, wanted)
        return {item.key: item for item in items if item is not None}

    def put(
        self,
        key: str,
        value: bytes,
        *,
        ttl: Duration | None = None,
        if_etag: str | None = None,
        notify: bool = False,
    ) -> str:
        """Store *value* at *key* and return its new etag.

        Args:
            ttl: Time until the value expires, exact to the second. `None`: it does not expire.
            if_etag: Store only if the current etag is this one; `""`: only if there is no value.
            notify: Wake callers of `wait` for this key at once, rather than within a second.

        Raises:
            ConflictError: *if_etag* is not the current etag. Nothing was stored.
            ExhaustedError: The engine is full. Nothing was stored.
            UnavailableError: The engine did not answer. The value may or may not be stored.

        Retries: without *if_etag* it is repeated, at-least-once. With it, it is done once, since a repeat
            could conflict with its own write; after `UnavailableError`, read the etag again.
        """
        check_key(key)
        check_value(value)
        ttl_s = ttl_seconds(ttl)
        if len(value) > self._max_value_bytes or (ttl_s is not None and ttl_s > self._max_ttl_s):
            self._refuse(key, value, ttl_s)
        write = Put(key, value, ttl_s, if_etag, notify)
        call = self._guard.safe if if_etag is None else self._guard.once
        etag = call("put", self._driver.put, write)
        if etag is None:
            raise _conflict(key, if_etag)
        return etag

    def put_json(
        self,
        key: str,
        value: Any,
        *,
        ttl: Duration | None = None,
        if_etag: str | None = None,
        notify: bool = False,
    ) -> str:
        """Store *value* as JSON; otherwise as `put`.

        Raises:
            ConflictError: *if_etag* is not the current etag. Nothing was stored.
            InvalidArgumentError: *value* cannot be written as JSON. Nothing was stored.
        """
        data = dumps(value, f"the value for {key!r}")
        return self.put(key, data, ttl=ttl, if_etag=if_etag, notify=notify)

    def put_many(
        self, values: Mapping[str, bytes], *, ttl: Duration | None = None, notify: bool = False
    ) -> dict[str, str]:
        """Store each value at its key and return the new etags; not a transaction (see `transact`).

        Raises:
            UnavailableError: The engine did not answer. Any subset of the values may be stored.

        Retries: at-least-once.
        """
        ttl_s = ttl_seconds(ttl)
        writes = [Put(key, value, ttl_s, None, notify) for key, value in values.items()]
        for write in writes:
            check_key(write.key)
            check_value(write.value)
            self._check_limits(write)
        if not writes:
            return {}
        etags = self._guard.safe("put_many", self._driver.put_many, writes)
        return {write.key: etag or "" for write, etag in zip(writes, etags, strict=True)}

    def delete(self, key: str, *, if_etag: str | None = None) -> bool:
        """Delete the value at *key* and return whether there was one.

        Raises:
            ConflictError: *if_etag* is not the current etag. Nothing was deleted.

        Retries: without *if_etag* it is repeated; a value that the first try deleted is then not counted.
        """
        check_key(key)
        call = self._guard.safe if if_etag is None else self._guard.once
        was_there = call("delete", self._driver.delete, Delete(key, if_etag))
        if was_there is None:
            raise _conflict(key, if_etag)
        return was_there

    def delete_many(self, keys: Iterable[str]) -> int:
        """Delete the values at *keys* and return their number; not a transaction.

        Retries: repeated; values that the first try deleted are then not counted.
        """
        wanted = _checked(keys)
        return self._guard.safe("delete_many", self._driver.delete_many, wanted) if wanted else 0

    def transact(self, operations: Sequence[Put | Delete]) -> None:
        """Do all *operations* or none; no reader sees some of them without the others.

        Args:
            operations: `Put` and `Delete`, each for a key of its own.

        Raises:
            ConflictError: An *if_etag* is not the current etag. Nothing was done.
            UnsupportedError: The component has no transactions. Nothing was done.
            UnavailableError: The engine did not answer. All operations or none were done.

        Retries: repeated if no operation has an *if_etag*.
        """
        self._require(StateFeature.TRANSACTION)
        _check_operations(operations)
        for operation in operations:
            if isinstance(operation, Put):
                self._check_limits(operation)
        if not operations:
            return
        conditional = any(operation.if_etag is not None for operation in operations)
        call = self._guard.once if conditional else self._guard.safe
        if not call("transact", self._driver.transact, operations):
            keys = [operation.key for operation in operations if operation.if_etag is not None]
            raise ConflictError(
                f"an etag of {keys} is not the current one; nothing was done. Read them again."
            )

    def scan(self, prefix: str = "") -> Iterator[str]:
        """Yield each key that begins with *prefix* once, in no order; keys written meanwhile may be missing.

        Raises:
            UnsupportedError: The component cannot list keys.
        """
        self._require(StateFeature.SCAN)
        check_unicode("a prefix", prefix)
        return self._scanned(prefix)

    def increment(self, key: str, by: int = 1, *, ttl: Duration | None = None) -> int:
        """Add *by* to the whole number at *key* (0 if there is none) atomically and return the sum.

        Args:
            by: A whole number of 64 bits, may be negative.
            ttl: Time until the number expires, counted from its first increment.

        Raises:
            ConflictError: The value is not a whole number, or the sum has more than 64 bits. Nothing was changed.
            UnavailableError: The engine did not answer. The number may or may not be added.

        Retries: none, since a repeat could count twice.
        """
        check_key(key)
        check_number(by)
        ttl_s = ttl_seconds(ttl)
        if ttl_s is not None and ttl_s > self._max_ttl_s:
            self._refuse(key, b"", ttl_s)
        return self._guard.once("increment", self._driver.increment, key, by, ttl_s)

    @call_traits(waits=True)
    def wait(self, key: str, etag: str = "", *, timeout: Duration) -> StateItem | None:
        """Return the value at *key* as soon as its etag is not *etag*; `None` when *timeout* has passed.

        It reads first, so a change since the caller got *etag* is not missed. A write with *notify* wakes it at once,
        any other write within a second. A deletion does not wake it.

        Args:
            etag: The etag that the caller has; `""`: return as soon as there is a value.
            timeout: The deadline of this call, in place of the component's own.
        """
        check_key(key)
        end = time.monotonic() + min(seconds("timeout", timeout, most=math.inf), threading.TIMEOUT_MAX)

        def wait() -> StateItem | None:
            for part_s in parts(max(0.0, end - time.monotonic())):
                item = self._driver.wait(key, etag, part_s)
                if item is not None:
                    return item
            return None

        return self._guard.waiting("wait", end, wait)

    def inspect(self, *, most: int = 100_000) -> StateStatus:
        """Return the number of keys of the component and their size.

        Args:
            most: The count at which counting ends, for engines that iterate over the keys.

        Raises:
            UnsupportedError: The component has no INSPECT.
            UnavailableError: The engine did not answer.
        """
        self._require(StateFeature.INSPECT)
        return self._guard.safe("inspect", self._driver.inspect, most)

    def summary(self) -> str:
        """See `Portable.summary`."""
        if not self._features[StateFeature.INSPECT]:
            return ""
        status = self.inspect()
        return counted(status.keys, "key") + ("" if status.complete else " and more")

    def _scanned(self, prefix: str) -> Iterator[str]:
        yield from self._guard.each("scan", self._driver.scan, prefix)

    def _check_limits(self, write: Put) -> None:
        ttl_s = write.ttl_s
        if len(write.value) > self._max_value_bytes or (ttl_s is not None and ttl_s > self._max_ttl_s):
            self._refuse(write.key, write.value, ttl_s)

    def _refuse(self, key: str, value: bytes, ttl_s: float | None) -> NoReturn:
        component = f"state {self.name!r}"
        if len(value) > self._max_value_bytes:
            refuse(component, f"the value of {key!r}", len(value), self._limits, "max_value_bytes")
        refuse(component, f"the ttl of {key!r}", ttl_s or 0, self._limits, "max_ttl_s")

    def _require(self, feature: StateFeature) -> None:
        support = self._features[feature]
        if not support:
            raise UnsupportedError(
                f"state {self.name!r} has no {feature}: {support.note}. Choose another driver for it in capa.toml,"
                f" and let `requires` check it at start-up."
            )


def _checked(keys: Iterable[str]) -> list[str]:
    """Return the distinct *keys*, after checking each."""
    if isinstance(keys, str):
        raise InvalidArgumentError(f"keys is the text {keys!r}: give a list of keys")
    distinct = list(dict.fromkeys(keys))
    for key in distinct:
        check_key(key)
    return distinct


def _check_operations(operations: Sequence[Put | Delete]) -> None:
    for operation in operations:
        check_key(operation.key)
        if isinstance(operation, Put):
            check_value(operation.value)
            ttl_seconds(operation.ttl_s)
    if len({operation.key for operation in operations}) < len(operations):
        raise InvalidArgumentError(
            "a transaction has at most one operation for each key, and a key occurs twice. Nothing was done."
        )


def _conflict(key: str, if_etag: str | None) -> ConflictError:
    if if_etag == "":
        return ConflictError(f"{key!r} has a value already; nothing was done. Read it, then decide.")
    return ConflictError(f"{key!r} does not have the etag {if_etag!r}; nothing was done. Read it again.")
