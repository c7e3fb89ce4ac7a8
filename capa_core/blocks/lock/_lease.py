"""The lease of an acquired lock: its end, and the signal of its loss."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import partial

from capa_core.call import telemetry
from capa_core.call.conventions import LOST_LOCKS
from capa_core.errors import LockLostError
from capa_core.supervision import LoggedThread

MARGIN = 0.1
"""The part of the lease by which a lock counts as lost early: the holder needs some time to stop."""


def now() -> float:
    """Return seconds on a clock that is never set and that, where there is one, runs on while the machine sleeps."""
    return time.clock_gettime(_CLOCK)


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class LossEvent(threading.Event):
    """Set once the lock is lost. `is_set` compares with the clock itself: it is right even just after a pause."""

    def __init__(self, lease: Lease) -> None:
        super().__init__()
        self._lease = lease

    def is_set(self) -> bool:
        """Return whether the lock is lost."""
        if not super().is_set():
            self._lease.expire_if_due()
        return super().is_set()


class Lease:
    """One acquisition of a lock by this process.

    Attributes:
        renew_at: When its next renewal is due, by `now`.
        safe_until: When it counts as lost unless it was renewed, by `now`.
        renewing: Whether a renewal is under way.
        released: Whether the holder has freed the lock, which can no longer be lost then.
    """

    def __init__(
        self, name: str, *, owner: str, token: int, lease_s: float, started: float, component: str
    ) -> None:
        self.name = name
        self.owner = owner
        self.token = token
        self.lease_s = lease_s
        self.lost = LossEvent(self)
        self.renewing = False
        self.released = False
        self._component = component
        self._process = os.getpid()
        self._callbacks: list[Callable[[], object]] = []
        self._lock = threading.Lock()
        self._reason = ""
        self._cause: BaseException | None = None
        self.renewed(started)

    def renewed(self, started: float) -> None:
        """Count the lease from *started*: when the call to the engine began, so never too late."""
        self.renew_at = started + self.lease_s / 3
        self.safe_until = started + self.lease_s * (1 - MARGIN)

    def next_event(self) -> float:
        """Return when it has to be renewed or expires."""
        return self.safe_until if self.renewing else min(self.renew_at, self.safe_until)

    def on_lost(self, callback: Callable[[], object]) -> None:
        """Call *callback* once when the lock is lost, from another thread; at once if it is lost already."""
        with self._lock:
            if not self._reason:
                self._callbacks.append(callback)
                return
        callback()

    def lose(self, reason: str, cause: BaseException | None = None) -> None:
        """Mark the lock as lost, and run the callbacks."""
        with self._lock:
            if self._reason:
                return
            self._reason, self._cause = reason, cause
            callbacks, self._callbacks = self._callbacks, []
        self.lost.set()
        if os.getpid() == self._process:  # else the parent still has it
            telemetry.count(LOST_LOCKS, {"capa.block": "lock", "capa.component": self._component})
        if callbacks:
            LoggedThread("capa-lock-lost", partial(self._call_all, callbacks)).start()

    def failed_to_renew(self, error: BaseException) -> None:
        """Store the error of a renewal, in case the lease ends before another succeeds."""
        self._cause = error

    def check(self) -> None:
        """Return if the lock is still held.

        Raises:
            LockLostError: It is lost.
        """
        if self.lost.is_set():
            raise self.error()

    def error(self) -> LockLostError:
        """Return the error for the loss, with its reason."""
        error = LockLostError(
            f"the lock {self.name!r} was lost: {self._reason}. Others may hold it: check the protected resource."
        )
        error.__cause__ = self._cause
        return error

    def leave_to_parent(self) -> None:
        """In a forked child: lose the lock, which stays with the parent."""
        self._lock = threading.Lock()
        self._callbacks = []
        self.expire_if_due()

    def expire_if_due(self) -> None:
        """Mark the lock as lost if it is another process's or was not renewed in time."""
        if self.released:
            return
        if os.getpid() != self._process:
            self.lose("it belongs to the process that this one was forked from")
        elif now() >= self.safe_until:
            self.lose(f"it was not renewed within its lease of {self.lease_s:g} s", self._cause)

    def _call_all(self, callbacks: list[Callable[[], object]]) -> None:
        for callback in callbacks:
            try:
                callback()
            except BaseException:  # noqa: BLE001 - there is no caller to raise it to, and the others must be called too
                telemetry.logger("lock", self.name).exception("a callback for a lost lock failed")
