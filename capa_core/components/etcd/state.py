"""State in etcd: one key for each value, and transactions by revision."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from capa_core.abilities import NATIVE, absent
from capa_core.blocks.state.driver import (
    Delete,
    Put,
    StateDriver,
    StateFeature,
    StateItem,
    StateLimits,
    StateStatus,
)
from capa_core.components.etcd._client import Json, after_all, decoded, encoded
from capa_core.components.etcd._driver import EtcdDriver
from capa_core.components.etcd._settings import EtcdSettings

_PAGE = 500
_BESIDE_VALUE = 8192
"""Bytes of a request besides the value, at most: a transaction names its key, of up to 2,048 bytes, twice."""
_LAST_LOOK_S = 0.5


class EtcdStateSettings(EtcdSettings):
    """The members of the cluster, and the prefix of the keys."""

    prefix: str = "capa/state/"


class EtcdState(EtcdDriver[EtcdStateSettings], StateDriver[EtcdStateSettings]):
    """State at `<prefix><key>`, in UTF-8; the etag is the revision of the key's last change.

    etcd ends a lease up to seconds late, so expiry is left to the core.
    """

    settings_type = EtcdStateSettings
    features = {
        **dict.fromkeys(StateFeature, NATIVE),
        StateFeature.TTL: absent("a lease ends in whole seconds, and late"),
        StateFeature.INCREMENT: absent("etcd adds no numbers"),
    }

    @property
    def limits(self) -> StateLimits:
        """See `StateDriver.limits`."""
        return StateLimits(max_value_bytes=self.settings.max_request_bytes - _BESIDE_VALUE)

    def get(self, key: str) -> StateItem | None:
        """See `StateDriver.get`."""
        return self._look(key)[0]

    def get_many(self, keys: Sequence[str]) -> list[StateItem | None]:
        """See `StateDriver.get_many`: in one transaction for each `max_txn_ops` keys."""
        found: list[StateItem | None] = []
        for part in self._parts(keys):
            answers = self._transact([], [{"request_range": {"key": self._key(key)}} for key in part])
            found += [
                _item(key, answer["response_range"])
                for key, answer in zip(part, answers["responses"], strict=True)
            ]
        return found

    def put(self, write: Put) -> str | None:
        """See `StateDriver.put`."""
        if write.if_etag is None:
            return _revision(self.client.call("/v3/kv/put", self._put(write)))
        answer = self._transact([self._condition(write)], [{"request_put": self._put(write)}])
        return _revision(answer) if answer.get("succeeded") else None

    def put_many(self, writes: Sequence[Put]) -> list[str | None]:
        """See `StateDriver.put_many`: those without a condition together, as far as a request may be large."""
        etags = {id(write): self.put(write) for write in writes if write.if_etag is not None}
        for part in self._parts([write for write in writes if write.if_etag is None]):
            for some in self._of_one_size(part):
                answer = self._transact([], [{"request_put": self._put(write)} for write in some])
                etags |= dict.fromkeys(map(id, some), _revision(answer))
        return [etags[id(write)] for write in writes]

    def delete(self, deletion: Delete) -> bool | None:
        """See `StateDriver.delete`."""
        if deletion.if_etag is None:
            return self.delete_many([deletion.key]) == 1
        answer = self._transact([self._condition(deletion)], [self._removal(deletion.key)])
        return _deleted(answer["responses"][0]) == 1 if answer.get("succeeded") else None

    def delete_many(self, keys: Sequence[str]) -> int:
        """See `StateDriver.delete_many`."""
        count = 0
        for part in self._parts(list(dict.fromkeys(keys))):
            answer = self._transact([], [self._removal(key) for key in part])
            count += sum(map(_deleted, answer["responses"]))
        return count

    def transact(self, operations: Sequence[Put | Delete]) -> bool:
        """See `StateDriver.transact`."""
        conditions = [self._condition(one) for one in operations if one.if_etag is not None]
        changes = [
            {"request_put": self._put(one)} if isinstance(one, Put) else self._removal(one.key)
            for one in operations
        ]
        return bool(self._transact(conditions, changes).get("succeeded"))

    def scan(self, prefix: str) -> Iterator[str]:
        """See `StateDriver.scan`."""
        first = self.prefix + prefix.encode()
        bounds = {"range_end": encoded(after_all(first)), "limit": str(_PAGE), "keys_only": True}
        while page := self.client.call("/v3/kv/range", {"key": encoded(first), **bounds}).get("kvs"):
            keys = [decoded(one["key"]) for one in page]
            for key in keys:
                with suppress(UnicodeDecodeError):  # another program's
                    yield key[len(self.prefix) :].decode()
            first = keys[-1] + b"\0"

    def wait(self, key: str, etag: str, timeout_s: float) -> StateItem | None:
        """See `StateDriver.wait`: each wait is one watch, which needs no thread."""
        end = time.monotonic() + timeout_s
        while True:
            left_s = end - time.monotonic()
            item, revision = self._look(key, limit_s=max(left_s, _LAST_LOOK_S))
            if item is not None and item.etag != etag:
                return item
            if left_s <= 0:
                return None
            self._watch(key, revision + 1, end)

    def inspect(self, most: int) -> StateStatus:
        """See `StateDriver.inspect`: the size is not known of a part of the keys."""
        keys = sum(1 for _ in islice(self.scan(""), most + 1))
        return StateStatus(keys=min(keys, most), complete=keys <= most)

    def has_lost(self, etag: str) -> bool:
        """Return whether the cluster has not come as far as *etag*: it is another one, or has lost its data."""
        return etag.isdecimal() and self._look("")[1] < int(etag)

    def _look(self, key: str, limit_s: float = float("inf")) -> tuple[StateItem | None, int]:
        """Return the value at *key*, and the revision of the cluster at which it was that."""
        answer = self.client.call("/v3/kv/range", {"key": self._key(key)}, limit_s=limit_s)
        return _item(key, answer), int(_revision(answer))

    def _watch(self, key: str, revision: int, end: float) -> None:
        """Return when *key* has changed since *revision*, at *end*, or when the member ends the watch."""
        for seen in self.client.watch({"key": self._key(key), "start_revision": str(revision)}, end):
            if seen.get("events") or seen.get("canceled"):
                return

    def _key(self, key: str) -> str:
        return encoded(self.prefix + key.encode())

    def _put(self, write: Put) -> Json:
        return {"key": self._key(write.key), "value": encoded(write.value)}

    def _removal(self, key: str) -> Json:
        return {"request_delete_range": {"key": self._key(key)}}

    def _condition(self, operation: Put | Delete) -> Json:
        """Return the comparison for an etag; the revision of a key that is not there is 0."""
        etag = operation.if_etag or "0"
        revision = etag if etag.isdecimal() else "-1"  # no revision at all: another engine's etag
        compared = {"target": "MOD", "result": "EQUAL", "mod_revision": revision}
        return {"key": self._key(operation.key), **compared}

    def _transact(self, conditions: Sequence[Json], changes: Sequence[Json]) -> Json:
        return self.client.call("/v3/kv/txn", {"compare": list(conditions), "success": list(changes)})

    def _parts(self, some: Sequence[Any]) -> Iterator[Sequence[Any]]:
        most = self.settings.max_txn_ops
        return (some[start : start + most] for start in range(0, len(some), most))

    def _of_one_size(self, writes: Sequence[Put]) -> Iterator[list[Put]]:
        """Divide *writes* so that each part fits into a request."""
        part: list[Put] = []
        size = 0
        for write in writes:
            size += len(write.value) + _BESIDE_VALUE
            if part and size > self.settings.max_request_bytes:
                yield part
                part, size = [], len(write.value) + _BESIDE_VALUE
            part.append(write)
        if part:
            yield part


def _item(key: str, answer: Json) -> StateItem | None:
    """Return the value in the answer to a range of one key. An empty field is left out of JSON."""
    for found in answer.get("kvs", ()):
        return StateItem(key, decoded(found.get("value", "")), found["mod_revision"])
    return None


def _revision(answer: Json) -> str:
    return str(answer["header"]["revision"])


def _deleted(response: Json) -> int:
    return int(response["response_delete_range"].get("deleted", 0))
