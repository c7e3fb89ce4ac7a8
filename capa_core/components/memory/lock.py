"""Locks between the threads of one process: for tests, and for applications of one process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from capa_core.abilities import NATIVE, absent
from capa_core.blocks.lock.driver import LockDriver, LockFeature, LockStatus


class MemoryLockSettings(BaseModel):
    """No settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(slots=True)
class _Lock:
    token: int
    owner: str = ""
    expires: float = 0.0

    def held_by(self, owner: str) -> bool:
        return self.owner == owner and time.monotonic() < self.expires


class MemoryLock(LockDriver[MemoryLockSettings]):
    """Locks in a dictionary per component; tokens begin at the milliseconds since the epoch."""

    settings_type = MemoryLockSettings
    features = {
        **dict.fromkeys(LockFeature, NATIVE),
        LockFeature.SHARED: absent("each process has its own memory"),
        LockFeature.DURABLE: absent("memory ends with the process"),
    }

    def __init__(self, settings: MemoryLockSettings) -> None:
        super().__init__(settings)
        self._locks: dict[str, _Lock] = {}
        self._changing = threading.Lock()

    def acquire(self, name: str, owner: str, lease_s: float) -> int | None:
        """See `LockDriver.acquire`."""
        with self._changing:
            lock = self._locks.setdefault(name, _Lock(time.time_ns() // 1_000_000))
            if not lock.held_by(owner):
                if time.monotonic() < lock.expires:
                    return None
                lock.owner, lock.token = owner, lock.token + 1
            lock.expires = time.monotonic() + lease_s
            return lock.token

    def renew(self, name: str, owner: str, lease_s: float) -> bool:
        """See `LockDriver.renew`."""
        with self._changing:
            lock = self._locks.get(name)
            if lock is None or not lock.held_by(owner):
                return False
            lock.expires = time.monotonic() + lease_s
            return True

    def release(self, name: str, owner: str) -> bool:
        """See `LockDriver.release`."""
        with self._changing:
            lock = self._locks.get(name)
            if lock is None or not lock.held_by(owner):
                return False
            lock.expires = 0.0
            return True

    def inspect(self) -> Iterator[LockStatus]:
        """See `LockDriver.inspect`: those that are held now."""
        now = time.monotonic()
        with self._changing:
            held = [(name, lock) for name, lock in self._locks.items() if lock.expires > now]
            return iter(
                [
                    LockStatus(name=name, owner=lock.owner, token=lock.token, left_s=lock.expires - now)
                    for name, lock in held
                ]
            )

    def ping(self) -> str:
        """See `Driver.ping`."""
        return f"memory of this process, {len(self._locks)} locks"

    def close(self) -> None:
        """See `Driver.close`."""
        self._locks.clear()

    def forget(self) -> None:
        """See `Driver.forget`: another thread of the parent may have held the lock."""
        self._changing = threading.Lock()
