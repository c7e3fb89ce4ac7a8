"""Locks in a bucket of NATS KV: one value for each name, leases by the server's clock, revisions as tokens."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from capa_core.abilities import NATIVE
from capa_core.blocks.lock.driver import LockDriver, LockFeature, LockStatus
from capa_core.components.nats import _risks
from capa_core.components.nats._bucket import Bucket, Entry
from capa_core.components.nats._clock import ServerClock
from capa_core.components.nats._driver import NatsDriver
from capa_core.components.nats._settings import NatsSettings
from capa_core.driver import Risk

_AFTER_S = 60
"""The value of a lock goes away so long after its lease: nobody else would remove that of a dead holder."""


class _Holding(NamedTuple):
    """The value of a lock. The token is 0 for the revision of the value itself, which no writer knows before."""

    name: str
    owner: str
    token: int
    lease_s: float

    def text(self) -> bytes:
        return json.dumps(self).encode()


class NatsLock(NatsDriver, LockDriver[NatsSettings]):
    """Locks as values `[name, owner, token, lease]`; each write requires that the value is the one that was read."""

    settings_type = NatsSettings
    features = dict.fromkeys(LockFeature, NATIVE)

    def acquire(self, name: str, owner: str, lease_s: float) -> int | None:
        """See `LockDriver.acquire`."""
        while True:
            entry = self._bucket.read(name)
            token = 0
            if entry is not None and entry.is_value:
                held = _holding(entry.value)
                if held is None:
                    self.in_the_way[name] = self._bucket.subject(name)
                    return None
                if held.owner == owner and self._surely_lasts(entry, held):
                    token = held.token or entry.revision
                elif held.owner != owner and not self._is_over(entry, held):
                    self.in_the_way.pop(name, None)
                    return None
            self.in_the_way.pop(name, None)
            revision = self._write(_Holding(name, owner, token, lease_s), entry)
            if revision is not None:
                return token or revision

    def renew(self, name: str, owner: str, lease_s: float) -> bool:
        """See `LockDriver.renew`."""
        return self._if_held(
            name,
            owner,
            lambda entry, held: (
                self._write(_Holding(name, owner, held.token or entry.revision, lease_s), entry) is not None
            ),
        )

    def release(self, name: str, owner: str) -> bool:
        """See `LockDriver.release`."""
        return self._if_held(name, owner, lambda entry, _: self._bucket.delete(name, entry.revision))

    def inspect(self) -> Iterator[LockStatus]:
        """See `LockDriver.inspect`."""
        for found in self._bucket.values():
            held = _holding(found.body)
            left_s = (
                0.0 if held is None else found.stored_at + held.lease_s - self._clock.latest(self._bucket.now)
            )
            if held is not None and left_s > 0:
                yield LockStatus(
                    name=held.name, owner=held.owner, token=held.token or found.number, left_s=left_s
                )

    def foreign(self) -> Iterator[str]:
        """See `LockDriver.foreign`."""
        return (found.subject for found in self._bucket.values() if _holding(found.body) is None)

    def risks(self) -> Sequence[Risk]:
        """See `Driver.risks`."""
        return [*super().risks(), *_risks.of_bucket(self._bucket.info())]

    def _open(self) -> None:
        super()._open()
        self._bucket = Bucket(self.link, self.settings, "lock")
        self._clock = ServerClock()

    def _if_held(self, name: str, owner: str, change: Callable[[Entry, _Holding], bool]) -> bool:
        """Return whether *owner* holds the lock and *change* was made; again if another write came between."""
        while True:
            entry = self._bucket.read(name)
            held = _holding(entry.value) if entry is not None and entry.is_value else None
            if entry is None or held is None or held.owner != owner or not self._surely_lasts(entry, held):
                return False
            if change(entry, held):
                return True

    def _write(self, holding: _Holding, entry: Entry | None) -> int | None:
        return self._bucket.write(
            holding.name,
            holding.text(),
            {},
            expected=entry.revision if entry else 0,
            ttl_s=math.ceil(holding.lease_s) + _AFTER_S,
        )

    def _surely_lasts(self, entry: Entry, held: _Holding) -> bool:
        return entry.stored_at + held.lease_s > self._clock.latest(self._bucket.now)

    def _is_over(self, entry: Entry, held: _Holding) -> bool:
        return entry.stored_at + held.lease_s <= self._clock.earliest(self._bucket.now)


def _holding(value: bytes) -> _Holding | None:
    """Return what the value of a lock says; `None` if another program wrote something else there."""
    try:
        name, owner, token, lease_s = json.loads(value)
    except (ValueError, TypeError, RecursionError):
        return None
    are_texts = isinstance(name, str) and isinstance(owner, str)
    if not are_texts or not isinstance(token, int) or not isinstance(lease_s, int | float):
        return None
    return _Holding(name, owner, token, float(lease_s))
