"""State in Redis: one key for each value, one round trip for each call."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from capa_core.abilities import NATIVE, Support, absent, approximate
from capa_core.blocks.state.driver import (
    Delete,
    Put,
    StateDriver,
    StateFeature,
    StateItem,
    StateLimits,
    StateStatus,
)
from capa_core.components.redis._client import glob_escaped
from capa_core.components.redis._driver import RedisDriver
from capa_core.components.redis._settings import RedisSettings
from capa_core.components.redis._state_scripts import DELETE, HEADER, INCREMENT, MARK, PUT, TRANSACT
from capa_core.components.redis._subscriber import Subscriber
from capa_core.errors import ConflictError

_RECHECK_S = 0.75
_LAST_LOOK_S = 0.5
_SCAN_COUNT = 500
_HASH_TAG = re.compile(r"\{[^}]+\}")
_SPREAD = absent(
    "the keys are on several nodes of the cluster; a prefix with a hash tag, such as {orders}:, keeps them on one"
)
_LONGEST_TTL_S = 9 * 10**15


class RedisStateSettings(RedisSettings):
    """The address of the server, and the prefix of its keys."""

    prefix: str = "capa:state:"


class RedisState(RedisDriver[RedisStateSettings], StateDriver[RedisStateSettings]):
    r"""State as strings at `<prefix><key>`: `00 01 63 65`, 16 characters of etag, then the value itself.

    So `GETRANGE <prefix><key> 20 -1` returns the value to any client. Strings that other programs stored without the
    first 20 bytes are values too; their etag is a digest, so a change that is undone is not detected. A write with
    `notify` is published, as stored, on the channel `<prefix>@<database>:<key>`.

    A plain write is one SET; a condition, a notice or an increment is one EVALSHA. A cluster has transactions if the
    prefix holds a hash tag, such as `{orders}:`, which keeps all keys on one node.
    """

    settings_type = RedisStateSettings
    features: Mapping[Any, Support] = {  # type: ignore[misc]  # an instance on a cluster may have fewer
        **dict.fromkeys(StateFeature, NATIVE),
        StateFeature.DURABLE: approximate("as the server's appendonly and appendfsync settings define"),
    }

    def __init__(self, settings: RedisStateSettings) -> None:
        super().__init__(settings)
        self._prefix = settings.prefix
        if settings.cluster and not _HASH_TAG.search(settings.prefix):
            self.features = {**self.features, StateFeature.TRANSACTION: _SPREAD}
        self._subscriber = Subscriber(settings)
        database = settings.options().get("db", 0)
        self._channels = f"{settings.prefix}@{database}:"

    @property
    def limits(self) -> StateLimits:
        """See `StateDriver.limits`: the etag stands before the value; times are milliseconds of 64 bits."""
        return StateLimits(max_value_bytes=self.settings.max_bulk_bytes - HEADER, max_ttl_s=_LONGEST_TTL_S)

    def get(self, key: str) -> StateItem | None:
        """See `StateDriver.get`."""
        return _item(key, self.client.call("GET", self._prefix + key))

    def get_many(self, keys: Sequence[str]) -> list[StateItem | None]:
        """See `StateDriver.get_many`."""
        found = self.client.get_many([self._prefix + key for key in keys])
        return [_item(key, stored) for key, stored in zip(keys, found, strict=True)]

    def put(self, write: Put) -> str | None:
        """See `StateDriver.put`."""
        etag, stored = _with_new_etag(write.value)
        if write.if_etag is None and not write.notify:
            self.client.call("SET", self._prefix + write.key, stored, *_expiry(write.ttl_s))
            return etag
        done = self.client.run(PUT, self._prefix + write.key, *self._arguments(write, stored))
        return etag if done else None

    def put_many(self, writes: Sequence[Put]) -> list[str | None]:
        """See `StateDriver.put_many`."""
        etags: list[str] = []
        commands: list[tuple[str | bytes | int, ...]] = []
        for write in writes:
            etag, stored = _with_new_etag(write.value)
            etags.append(etag)
            key = self._prefix + write.key
            if write.if_etag is None and not write.notify:
                commands.append(("SET", key, stored, *_expiry(write.ttl_s)))
            else:  # by its text: the server may lack the script
                commands.append(("EVAL", PUT.text, 1, key, *self._arguments(write, stored)))
        answers = self.client.call_many(commands)
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return [etag if done else None for etag, done in zip(etags, answers, strict=True)]

    def delete(self, deletion: Delete) -> bool | None:
        """See `StateDriver.delete`."""
        if deletion.if_etag is None:
            return self.delete_many([deletion.key]) == 1
        deleted = self.client.run(DELETE, self._prefix + deletion.key, _condition(deletion))
        return None if deleted < 0 else bool(deleted)

    def delete_many(self, keys: Sequence[str]) -> int:
        """See `StateDriver.delete_many`."""
        return self.client.delete_many([self._prefix + key for key in keys])

    def transact(self, operations: Sequence[Put | Delete]) -> bool:
        """See `StateDriver.transact`."""
        arguments: list[bytes | str | int] = []
        for operation in operations:
            if isinstance(operation, Put):
                condition, *rest = self._arguments(operation, _with_new_etag(operation.value)[1])
                arguments += [condition, "put", *rest]
            else:
                arguments += [_condition(operation), "delete", "", "", ""]
        keys = [self._prefix + operation.key for operation in operations]
        return bool(self.client.run_on(TRANSACT, keys, *arguments))

    def scan(self, prefix: str) -> Iterator[str]:
        """See `StateDriver.scan`. SCAN may name a key twice while the server grows its table: hence the set."""
        seen: set[bytes] = set()
        skip = len(self._prefix.encode())
        pattern = glob_escaped(self._prefix + prefix) + "*"
        for key in self.client.scan(pattern, count=_SCAN_COUNT):
            if key not in seen:
                seen.add(key)
                with suppress(UnicodeDecodeError):  # another program's
                    yield key[skip:].decode()

    def increment(self, key: str, by: int, ttl_s: float | None) -> int:
        """See `StateDriver.increment`."""
        header = _with_new_etag(b"")[1]
        ttl_ms = _milliseconds(ttl_s) or ""
        answer = self.client.run(INCREMENT, self._prefix + key, by, header, ttl_ms)
        if answer is None:
            raise ConflictError(
                f"{key!r} does not hold a whole number, or adding {by} would exceed 64 bits. Nothing was added."
            )
        return int(answer)

    def wait(self, key: str, etag: str, timeout_s: float) -> StateItem | None:
        """See `StateDriver.wait`."""
        end = time.monotonic() + timeout_s
        with self._subscriber.listen(self._channels + key, self._limit_s(timeout_s)) as listener:
            item = self._look(key, timeout_s)
            while item is None or item.etag == etag:
                left_s = end - time.monotonic()
                if left_s <= 0:
                    return None
                published = listener.next(min(left_s, _RECHECK_S))
                item = self._look(key, left_s) if published is None else _item(key, published)
            return item

    def _look(self, key: str, left_s: float) -> StateItem | None:
        return _item(key, self.client.call("GET", self._prefix + key, limit_s=self._limit_s(left_s)))

    def _limit_s(self, left_s: float) -> float:
        """Return the seconds for one round trip of a wait; a read with no time left still gets some."""
        return min(self.settings.timeout_s, max(left_s, _LAST_LOOK_S))

    def inspect(self, most: int) -> StateStatus:
        """See `StateDriver.inspect`: by SCAN, which goes through all keys of the database; no size is known."""
        keys = sum(1 for _ in islice(self.scan(""), most + 1))
        return StateStatus(keys=min(keys, most), complete=keys <= most)

    def close(self) -> None:
        """See `Driver.close`."""
        self._subscriber.close()
        self.client.close()

    def forget(self) -> None:
        """See `Driver.forget`."""
        self._subscriber.forget()
        self.client.forget()

    def _arguments(self, write: Put, stored: bytes) -> list[bytes | str | int]:
        """Return the script arguments for *write*."""
        channel = self._channels + write.key if write.notify else ""
        return [_condition(write), stored, _milliseconds(write.ttl_s) or "", channel]


def _condition(operation: Put | Delete) -> str:
    return "" if operation.if_etag is None else f"={operation.if_etag}"


def _with_new_etag(value: bytes) -> tuple[str, bytes]:
    """Return a new etag, and the stored form of *value* with it."""
    etag = os.urandom(8).hex()
    return etag, MARK + etag.encode() + value


def _item(key: str, stored: bytes | None) -> StateItem | None:
    if stored is None:
        return None
    if stored.startswith(MARK) and len(stored) >= HEADER and stored[len(MARK) : HEADER].isascii():
        return StateItem(key, stored[HEADER:], stored[len(MARK) : HEADER].decode())
    return StateItem(key, stored, "x" + hashlib.sha1(stored, usedforsecurity=False).hexdigest())


def _milliseconds(ttl_s: float | None) -> int | None:
    return None if ttl_s is None else max(1, round(ttl_s * 1000))


def _expiry(ttl_s: float | None) -> tuple[str | int, ...]:
    """Return the arguments of SET for a time to live."""
    return () if ttl_s is None else ("PX", max(1, round(ttl_s * 1000)))
