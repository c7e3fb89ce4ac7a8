"""A lock while it is held: its token, whether it still holds, and how it ends."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from capa_core.call import telemetry
from capa_core.call.traits import blocking, call_traits
from capa_core.errors import CapaError, LockLostError

if TYPE_CHECKING:
    from capa_core.blocks.lock._keeper import Keeper

MARGIN = 0.1
"""The part of the lease by which a lock counts as lost early: the holder needs some time to stop."""


def now() -> float:
    """Return seconds on a clock that nobody sets and that, where there is one, runs on while the machine sleeps."""
    return time.clock_gettime(_CLOCK)


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Lost(threading.Event):
    """Set once the lock is lost. `is_set` looks at the clock itself: it is right even just after a pause."""

    def __init__(self, held: Held) -> None:
        super().__init__()
        self._held = held

    def is_set(self) -> bool:
        """Return whether the lock is lost."""
        if not super().is_set():
            self._held._notice()
        return super().is_set()


@blocking()
class Held:
    """A lock that this process holds, renewed in the background until `release`. A context manager.

    Attributes:
        name: Of the lock.
        owner: What the engine knows the holder by.
        token: Grows with each acquisition. Send it with each write to what the lock protects, and let that refuse
            a token below the highest that it has seen: no other way is safe against a holder that was paused.
        lost: Set before somebody else can have the lock. Look at it between the steps of long work.
    """

    def __init__(
        self, keeper: Keeper, name: str, *, owner: str, token: int, lease_s: float, started: float
    ) -> None:
        self.name = name
        self.owner = owner
        self.token = token
        self.lost: threading.Event = Lost(self)
        self.lease_s = lease_s
        self._keeper = keeper
        self._process = os.getpid()
        self._callbacks: list[Callable[[Held], object]] = []
        self._lock = threading.Lock()
        self.renewing = False
        self._released = False
        self._reason = ""
        self._cause: BaseException | None = None
        self.renewed(started)

    @call_traits(handler="callback")
    def on_lost(self, callback: Callable[[Held], object]) -> None:
        """Call *callback* with this object, once, from another thread, when the lock is lost; at once if it is."""
        with self._lock:
            if not self._reason:
                self._callbacks.append(callback)
                return
        callback(self)

    @call_traits(immediate=True)
    def check(self) -> None:
        """Do nothing while the lock is held.

        Raises:
            LockLostError: It is lost: stop, and do not write what it protects.
        """
        if self.lost.is_set():
            raise self.lost_error()

    def release(self) -> None:
        """Free the lock. Once that is done, another `release` does nothing.

        Raises:
            LockLostError: It was lost before: what it protects may have been touched by others meanwhile.
            UnavailableError: The engine did not answer. The lock is free when its lease ends, at the latest.
        """
        if not self._released:
            self.check()
            self._keeper.release(self)
            self._released = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.release()
            return
        try:
            self.release()
        except CapaError as second:
            error.add_note(f"besides, releasing the lock {self.name!r} failed: {second}")

    # For the keeper

    def renewed(self, started: float) -> None:
        """Count the lease from *started*: when the call to the engine began, so never too late."""
        self.renew_at = started + self.lease_s / 3
        self.safe_until = started + self.lease_s * (1 - MARGIN)

    def next_look(self) -> float:
        """Return when the keeper has something to do for it."""
        return self.safe_until if self.renewing else min(self.renew_at, self.safe_until)

    def lose(self, reason: str, cause: BaseException | None = None) -> None:
        """Mark the lock as lost, and call those who asked for it."""
        with self._lock:
            if self._reason:
                return
            self._reason, self._cause = reason, cause
            callbacks, self._callbacks = self._callbacks, []
        self.lost.set()
        if callbacks:
            threading.Thread(
                target=_call_all, args=(callbacks, self), name="capa-lock-lost", daemon=True
            ).start()

    def failed_to_renew(self, error: BaseException) -> None:
        """Remember why a renewal failed, should the lease end before another succeeds."""
        self._cause = error

    def leave_to_parent(self) -> None:
        """In a forked child: the lock stays with the parent."""
        self._lock = threading.Lock()
        self._callbacks = []
        self._notice()

    def lost_error(self) -> LockLostError:
        """Return the error that says that, and why, the lock is lost."""
        error = LockLostError(
            f"the lock {self.name!r} was lost: {self._reason}. Others may hold it: check what it protects."
        )
        error.__cause__ = self._cause
        return error

    def _notice(self) -> None:
        if self._released:
            return
        if os.getpid() != self._process:
            self.lose("it belongs to the process that this one was forked from")
        elif now() >= self.safe_until:
            self.lose(f"it was not renewed within its lease of {self.lease_s:g} s", self._cause)


def _call_all(callbacks: list[Callable[[Held], object]], held: Held) -> None:
    for callback in callbacks:
        try:
            callback(held)
        except Exception:  # noqa: BLE001 - there is no caller to raise it to, and the others must be called too
            telemetry.logger("lock", held.name).exception("a callback for a lost lock failed")
