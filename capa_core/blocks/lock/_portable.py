"""Locks by name: acquire and release them on the engine of the component."""

from __future__ import annotations

import math
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import TracebackType
from typing import Any

from capa_core.blocks.lock._checks import check_text, lease_seconds
from capa_core.blocks.lock._held import Held
from capa_core.blocks.lock._lease import Lease, now
from capa_core.blocks.lock._renewer import LeaseRenewer
from capa_core.blocks.lock.driver import LockDriver, LockFeature, LockLimits, LockStatus
from capa_core.call import DEFAULT_POLICY, Policy, cancellation, telemetry
from capa_core.call.checks import Duration, seconds
from capa_core.call.portable import Portable
from capa_core.call.traits import blocking, call_traits
from capa_core.errors import DeadlineError, LockLostError, UnsupportedError

DEFAULT_LEASE = timedelta(seconds=30)

_FIRST_POLL_S = 0.005
_LONGEST_POLL_S = 0.25


class Locks(Portable[LockDriver[Any]]):
    """Locks by name, on the engine of this component. Safe for many threads.

    A lock is a lease: a holder that dies or hangs loses it when the lease ends. So a lock alone never keeps a paused
    holder from writing late; the token does (see `Held.token`).

        with locks.lock("nightly-report", lease=timedelta(seconds=30)) as held:
            write_report(fence=held.token)

    Any call may raise `UnavailableError` or `DeadlineError` (the engine did not answer), `ClosedError`, and
    `InvalidArgumentError` (before anything was done).
    """

    def __init__(
        self, driver: LockDriver[Any], *, name: str = "default", policy: Policy = DEFAULT_POLICY
    ) -> None:
        super().__init__("lock", driver, name, policy)
        self._renewer = LeaseRenewer(driver, self._guard)
        self._limits = driver.limits
        self._blocked_since: dict[str, float] = {}

    @property
    def limits(self) -> LockLimits:
        """The bounds of names and leases."""
        return self._limits

    @call_traits(immediate=True)
    def lock(self, name: str, *, lease: Duration = DEFAULT_LEASE, timeout: Duration | None = None) -> Lock:
        """Return the lock *name* without acquiring it.

        Args:
            name: 1 to 512 characters; any Unicode.
            lease: How long after the death of its holder the lock is free: 0.1 s to a day. It is renewed while held.
            timeout: How long `with` waits for the lock; `None` for the component's `deadline_s`.
        """
        check_text("the name of a lock", name)
        timeout_s = (
            self._guard.policy.deadline_s if timeout is None else seconds("timeout", timeout, most=math.inf)
        )
        return Lock(self._acquired, name, lease_seconds(lease, self._limits), timeout_s)

    def try_lock(self, name: str, owner: str, *, lease: Duration = DEFAULT_LEASE) -> int | None:
        """Acquire the lock for *owner* and return its token, or `None` at once if another owner holds it.

        It is not renewed: call again with the same owner to restart the lease. This and `unlock` are for callers
        that manage the owner themselves; for all others there is `lock`.

        Retries: repeated; the same owner gets the same token.
        """
        check_text("the name of a lock", name)
        check_text("the owner of a lock", owner)
        lease_s = lease_seconds(lease, self._limits)
        token = self._guard.safe("acquire", self._driver.acquire, name, owner, lease_s)
        if token is None:
            self._report_foreign(name, lease_s)
        return token

    def unlock(self, name: str, owner: str) -> None:
        """Free the lock that *owner* acquired by `try_lock`.

        Raises:
            LockLostError: *owner* does not hold it, or no longer. Nothing changed.
            UnavailableError: The engine did not answer. The lock is free when its lease ends, at the latest.
        """
        check_text("the name of a lock", name)
        check_text("the owner of a lock", owner)
        if not self._guard.once("release", self._driver.release, name, owner):
            raise LockLostError(
                f"{owner!r} does not hold the lock {name!r}: its lease ended, or it never did."
            )

    def inspect(self) -> Iterator[LockStatus]:
        """Yield each held lock of all processes: holder, token and remaining lease.

        Raises:
            UnsupportedError: The component has no INSPECT.
            UnavailableError: The engine did not answer.
        """
        support = self._features[LockFeature.INSPECT]
        if not support:
            raise UnsupportedError(f"lock {self.name!r} has no {LockFeature.INSPECT}: {support.note}.")
        return self._inspected()

    def summary(self) -> str:
        """See `Portable.summary`."""
        if not self._features[LockFeature.INSPECT]:
            return ""
        held = f"{sum(1 for _ in self.inspect()):,} held"
        others = self._guard.safe("inspect", lambda: sorted(self._driver.foreign()))
        if not others:
            return held
        return f"{held}, {len(others):,} blocked by what another program wrote: {', '.join(others[:3])}"

    def _inspected(self) -> Iterator[LockStatus]:
        yield from self._guard.each("inspect", self._driver.inspect)

    def close(self) -> None:
        """Release connections and threads. Locks that are still held count as lost. A second `close` does nothing."""
        self._renewer.close()
        super().close()

    def forget(self) -> None:
        """Drop the state that a fork copied into this child; locks stay with the parent. The runtime calls it."""
        self._renewer.forget()
        super().forget()

    def _acquired(self, name: str, owner: str, lease_s: float) -> Held | None:
        """Try once to acquire the lock for *owner*, and have it renewed from then on."""
        started = 0.0

        def acquire() -> int | None:
            nonlocal started
            started = now()  # of the try that succeeds: the lease counts from there
            return self._driver.acquire(name, owner, lease_s)

        token = self._guard.safe("acquire", acquire)
        if token is None:
            self._report_foreign(name, lease_s)
            return None
        lease = Lease(name, owner=owner, token=token, lease_s=lease_s, started=started, component=self.name)
        self._renewer.add(lease)
        return Held(lease, self._renewer.release)

    def _report_foreign(self, name: str, lease_s: float) -> None:
        """Warn once of a value of another program that has kept the lock from all owners for a lease."""
        place = self._driver.in_the_way.get(name) if self._driver.in_the_way else None
        if place is None:
            self._blocked_since.pop(name, None)
        elif now() - self._blocked_since.setdefault(name, now()) >= lease_s:
            self._blocked_since[name] = math.inf
            telemetry.logger("lock", self.name).warning(
                "a lock cannot be acquired: another program wrote a value in its place, which nobody releases."
                " Look for that program, and remove the value",
                lock=name,
                place=place,
            )


@blocking()
class Lock:
    """One lock, which many threads may acquire again and again, one at a time. Not re-entrant."""

    def __init__(
        self,
        acquire: Callable[[str, str, float], Held | None],
        name: str,
        lease_s: float,
        timeout_s: float,
    ) -> None:
        self.name = name
        self.lease_s = lease_s
        self.timeout_s = timeout_s
        self._acquire = acquire
        self._entered = threading.local()

    @call_traits(waits=True, opens=True)
    def acquire(self, *, timeout: Duration | None = None) -> Held:
        """Wait until the lock is free, acquire it, and have it renewed until it is released.

        Args:
            timeout: How long to wait while others hold it; 0 tries once. `None` for the timeout of this object.
                An engine that does not answer may take its own `timeout_s` on top.

        Raises:
            DeadlineError: Others held it all the time.
            UnavailableError: The engine did not answer. The lock may be held until the lease ends.

        Retries: repeated; the engine recognises its holder.
        """
        timeout_s = self.timeout_s if timeout is None else seconds("timeout", timeout, most=math.inf)
        owner = _new_owner()
        end = time.monotonic() + timeout_s
        pause_s = _FIRST_POLL_S
        while (held := self._acquire(self.name, owner, self.lease_s)) is None:
            left_s = end - time.monotonic()
            if left_s <= 0 or cancellation.requested():
                raise DeadlineError(
                    f"the lock {self.name!r} was held by others for {timeout_s:g} s. Try again, or wait longer."
                )
            # Jitter, so that waiters that began together do not retry together.
            cancellation.sleep(min(left_s, random.uniform(pause_s / 2, pause_s)))  # noqa: S311 - no secret
            pause_s = min(pause_s * 1.5, _LONGEST_POLL_S)
        return held

    def try_acquire(self) -> Held | None:
        """Acquire the lock if it is free now, else return `None`.

        Raises:
            UnavailableError: The engine did not answer. The lock may be held until the lease ends.
        """
        return self._acquire(self.name, _new_owner(), self.lease_s)

    def __enter__(self) -> Held:
        held = self.acquire()
        self._stack().append(held)
        return held

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack().pop().__exit__(kind, error, trace)

    def _stack(self) -> list[Held]:
        """Return the locks that this thread entered: several threads may be inside `with` one after the other."""
        stack: list[Held] = self._entered.__dict__.setdefault("stack", [])
        return stack


def _new_owner() -> str:
    """Return a unique name for a holder, with its host and process."""
    return f"{socket.gethostname()}/{os.getpid()}/{os.urandom(8).hex()}"
