"""Locks in ZooKeeper: one node for each name, leases by the clock of the ensemble's leader."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

from kazoo.exceptions import BadVersionError, NodeExistsError, NoNodeError

from capa_core.abilities import NATIVE
from capa_core.blocks.lock.driver import LockDriver, LockFeature, LockStatus
from capa_core.clocks import boot_time
from capa_core.components.zookeeper._client import key_of
from capa_core.components.zookeeper._driver import ZookeeperDriver
from capa_core.components.zookeeper._settings import ZookeeperSettings
from capa_core.forks import renew_locks_after_fork

_CLOCK = "clock"
_CLOCK_GOOD_S = 5.0
"""How long the distance to the leader's clock is taken for the same."""


class ZookeeperLockSettings(ZookeeperSettings):
    """The servers of the ensemble, and the folder of the nodes."""

    prefix: str = "/capa/lock"


class _Held(NamedTuple):
    """A lock's node.

    Attributes:
        owner: `""` of one that was released; `None` if another program wrote it.
        ends_ms: The end of the lease, by the leader's clock.
    """

    owner: str | None
    token: int
    ends_ms: float
    version: int


class ZookeeperLock(ZookeeperDriver[ZookeeperLockSettings], LockDriver[ZookeeperLockSettings]):
    """Locks as nodes `<prefix>/k<name>` with owner, token and lease; they stay, since they count the tokens.

    They are not ephemeral: a session lives as long as its process answers, also when nobody renews the lock. The
    ensemble notes the time of each change; what time it is there is found by a change of `<prefix>/clock`.
    """

    settings_type = ZookeeperLockSettings
    features = dict.fromkeys(LockFeature, NATIVE)

    def __init__(self, settings: ZookeeperLockSettings) -> None:
        super().__init__(settings)
        self._ahead_ms = 0.0
        self._compared_at = float("-inf")
        renew_locks_after_fork(self)

    def make_locks(self) -> None:
        """Make the lock."""
        self._comparing = threading.Lock()

    def acquire(self, name: str, owner: str, lease_s: float) -> int | None:
        """See `LockDriver.acquire`."""
        held, now_ms = self._look(name), self._now_ms()
        if held is None:
            first = max(int(now_ms), time.time_ns() // 1_000_000)
            return self._make(name, owner, lease_s, token=first)
        if held.owner is None:
            self.in_the_way[name] = self.path(name)
            return None
        self.in_the_way.pop(name, None)
        if held.owner and now_ms < held.ends_ms:
            token = held.token if held.owner == owner else None
        else:
            token = held.token + 1
        return token if token is not None and self._set(name, held, owner, lease_s, token) else None

    def renew(self, name: str, owner: str, lease_s: float) -> bool:
        """See `LockDriver.renew`."""
        held = self._of(name, owner)
        return held is not None and self._set(name, held, owner, lease_s, held.token)

    def release(self, name: str, owner: str) -> bool:
        """See `LockDriver.release`."""
        held = self._of(name, owner)
        return held is not None and self._set(name, held, "", 0, held.token)

    def inspect(self) -> Iterator[LockStatus]:
        """See `LockDriver.inspect`."""
        for name, held in self._all():
            left_ms = held.ends_ms - self._now_ms()
            if held.owner and left_ms > 0:
                yield LockStatus(name=name, owner=held.owner, token=held.token, left_s=left_ms / 1000)

    def foreign(self) -> Iterator[str]:
        """See `LockDriver.foreign`."""
        return (self.path(name) for name, held in self._all() if held.owner is None)

    def _all(self) -> Iterator[tuple[str, _Held]]:
        try:
            names = self.session.call(lambda client: client.get_children_async(self.root))
        except NoNodeError:
            return
        for one in names:
            name = key_of(one) if one.startswith("k") else None
            if name is not None and (held := self._look(name)) is not None:
                yield name, held

    def _look(self, name: str) -> _Held | None:
        path = self.path(name)
        try:
            data, stat = self.session.call(lambda client: client.get_async(path))
        except NoNodeError:
            return None
        owner, token, lease_s = _read(data or b"")
        return _Held(owner, token, stat.mtime + lease_s * 1000, stat.version)

    def _of(self, name: str, owner: str) -> _Held | None:
        """Return the lock if *owner* holds it."""
        held = self._look(name)
        return held if held is not None and held.owner == owner and self._now_ms() < held.ends_ms else None

    def _make(self, name: str, owner: str, lease_s: float, token: int) -> int | None:
        path, data = self.path(name), _written(owner, token, lease_s)
        while True:
            try:
                self.session.call(lambda client: client.create_async(path, data))
            except NodeExistsError:
                return None
            except NoNodeError:
                self.session.make(self.root)
            else:
                return token

    def _set(self, name: str, held: _Held, owner: str, lease_s: float, token: int) -> bool:
        """Change the lock's node if it is still as *held*; return whether it was."""
        path, data = self.path(name), _written(owner, token, lease_s)
        try:
            self.session.call(lambda client: client.set_async(path, data, held.version))
        except (NoNodeError, BadVersionError):
            return False
        return True

    def _now_ms(self) -> float:
        """Return the time by the leader's clock, or a little less: a lease ends late rather than early."""
        with self._comparing:
            if boot_time() - self._compared_at > _CLOCK_GOOD_S:
                self._compare()
            return boot_time() * 1000 + self._ahead_ms

    def _compare(self) -> None:
        path = f"{self.root}/{_CLOCK}"
        while True:
            try:
                stat = self.session.call(lambda client: client.set_async(path, b""))
            except NoNodeError:
                self.session.make(path)
            else:
                self._compared_at = boot_time()
                self._ahead_ms = stat.mtime - self._compared_at * 1000
                return


def _written(owner: str, token: int, lease_s: float) -> bytes:
    return json.dumps({"owner": owner, "token": token, "lease_s": lease_s}).encode()


def _read(data: bytes) -> tuple[str | None, int, float]:
    try:
        whole = json.loads(data)
        owner, token, lease_s = whole["owner"], whole["token"], whole["lease_s"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None, 0, 0.0
    is_ours = isinstance(owner, str) and type(token) is int and isinstance(lease_s, int | float)
    return (owner, token, lease_s) if is_ours else (None, 0, 0.0)
