"""State in a bucket of NATS KV: one value for each key, its revision as etag."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice

from capa_core.abilities import BY_CORE, NATIVE, absent
from capa_core.blocks.state.driver import (
    Delete,
    Put,
    StateDriver,
    StateFeature,
    StateItem,
    StateLimits,
    StateStatus,
)
from capa_core.components.nats import _risks
from capa_core.components.nats._bucket import Bucket, Entry
from capa_core.components.nats._driver import NatsDriver
from capa_core.components.nats._pages import Stored
from capa_core.components.nats._settings import NatsSettings
from capa_core.driver import Risk

_KEY = "Capa-Key"
"""The header with the key, which the subject holds in part where it is long."""


class NatsState(NatsDriver, StateDriver[NatsSettings]):
    """State as values of a bucket. The server itself checks the revision that a conditional write requires."""

    settings_type = NatsSettings
    features = {
        **dict.fromkeys(StateFeature, NATIVE),
        StateFeature.TTL: BY_CORE,
        StateFeature.INCREMENT: BY_CORE,
        StateFeature.WAIT: BY_CORE,
        StateFeature.TRANSACTION: absent("a bucket has writes of one key alone"),
    }

    @property
    def limits(self) -> StateLimits:
        """See `StateDriver.limits`."""
        return StateLimits(max_value_bytes=self.settings.max_message_bytes)

    def get(self, key: str) -> StateItem | None:
        """See `StateDriver.get`."""
        return _item(key, self._bucket.read(key))

    def get_many(self, keys: Sequence[str]) -> list[StateItem | None]:
        """See `StateDriver.get_many`."""
        return list(map(_item, keys, self._bucket.read_many(keys)))

    def put(self, write: Put) -> str | None:
        """See `StateDriver.put`."""
        while True:
            expected = self._expected(write.if_etag, write.key)
            if write.if_etag is not None and expected is None:
                return None
            revision = self._bucket.write(write.key, write.value, _headers(write.key), expected=expected)
            if revision is not None:
                return str(revision)
            if write.if_etag:
                return None

    def put_many(self, writes: Sequence[Put]) -> list[str | None]:
        """See `StateDriver.put_many`."""
        plain = [write for write in writes if write.if_etag is None]
        stored = iter(
            self._bucket.write_many([(write.key, write.value, _headers(write.key)) for write in plain])
        )
        return [str(next(stored)) if write.if_etag is None else self.put(write) for write in writes]

    def delete(self, deletion: Delete) -> bool | None:
        """See `StateDriver.delete`."""
        while True:
            entry = self._bucket.read(deletion.key)
            if entry is None or not entry.is_value:
                return None if deletion.if_etag else False
            if deletion.if_etag not in (None, str(entry.revision)):
                return None
            if self._bucket.delete(deletion.key, entry.revision):
                return True

    def delete_many(self, keys: Sequence[str]) -> int:
        """See `StateDriver.delete_many`."""
        found = zip(keys, self._bucket.read_many(keys), strict=True)
        there = [(key, entry.revision) for key, entry in found if entry is not None and entry.is_value]
        gone = self._bucket.delete_many(there)
        again = [key for (key, _), is_gone in zip(there, gone, strict=True) if not is_gone]
        return sum(gone) + sum(self.delete(Delete(key)) is True for key in again)

    def scan(self, prefix: str) -> Iterator[str]:
        """See `StateDriver.scan`: it reads the values too, a hundred at a time."""
        return (key for found in self._bucket.values() if (key := _key(found)).startswith(prefix))

    def inspect(self, most: int) -> StateStatus:
        """See `StateDriver.inspect`."""
        keys = sum(1 for _ in islice(self._bucket.values(), most + 1))
        return StateStatus(keys=min(keys, most), complete=keys <= most, size_bytes=self._bucket.size())

    def has_lost(self, etag: str) -> bool:
        """Return whether the bucket is not the one in which *etag* was that of a value."""
        return etag.isdecimal() and self._bucket.has_lost(int(etag))

    def risks(self) -> Sequence[Risk]:
        """See `Driver.risks`."""
        return [*super().risks(), *_risks.of_bucket(self._bucket.info())]

    def _open(self) -> None:
        super()._open()
        self._bucket = Bucket(self.link, self.settings, "state")

    def _expected(self, etag: str | None, key: str) -> int | None:
        """Return the revision that a write with *etag* requires; `None` for any, or if *etag* cannot match."""
        if etag is None:
            return None
        if etag:
            return int(etag) if etag.isascii() and etag.isdecimal() and len(etag) < 20 and int(etag) else None
        entry = self._bucket.read(key)
        if entry is None:
            return 0
        return None if entry.is_value else entry.revision


def _item(key: str, entry: Entry | None) -> StateItem | None:
    if entry is None or not entry.is_value:
        return None
    return StateItem(key, entry.value, str(entry.revision))


def _headers(key: str) -> dict[str, str]:
    return {_KEY: json.dumps(key)}


def _key(found: Stored) -> str:
    """Return the key of a value; the subject's last word for a value of another program."""
    try:
        key = json.loads(found.headers[_KEY])
    except (LookupError, ValueError):
        key = None
    return key if isinstance(key, str) else found.subject.rpartition(".")[2]
