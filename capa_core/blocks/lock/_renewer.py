"""Renewal of the leases of held locks, and the timely signal when one is lost."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

from capa_core.blocks.lock._lease import Lease, now
from capa_core.blocks.lock.driver import LockDriver
from capa_core.call import Guard, telemetry
from capa_core.errors import CapaError
from capa_core.supervision import LoggedThread, SupervisedThread

_TRIES_IN_LEASE = 12
_LONGEST_REST_S = 0.1
"""The rest of the watching thread after a failure: losses of short leases are signalled late meanwhile."""


class LeaseRenewer:
    """One thread that watches the leases of all locks held through one component; it runs while there are any.

    It never waits for the engine, so that a slow one cannot delay the signal of a loss: each renewal has a thread of
    its own, which at three in a lease costs nothing.
    """

    def __init__(self, driver: LockDriver[Any], guard: Guard) -> None:
        self._driver = driver
        self._guard = guard
        self._leases: set[Lease] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wakes_at = 0.0

    def add(self, lease: Lease) -> None:
        """Renew *lease* from now on."""
        with self._changed:
            self._leases.add(lease)
            if self._thread is None:
                self._start()
            elif lease.renew_at < self._wakes_at:
                self._changed.notify()

    def release(self, lease: Lease) -> None:
        """Stop renewing *lease* and free its lock.

        Raises:
            LockLostError: It was lost.
            UnavailableError: The engine did not answer.
        """
        with self._changed:
            self._leases.discard(lease)
        tries = 0

        def release() -> bool:
            nonlocal tries
            tries += 1
            return self._driver.release(lease.name, lease.owner)

        freed = self._guard.safe("release", release)
        # A second try may find that the first, whose answer was lost, has freed it: within the lease no other could.
        if not freed and (tries == 1 or lease.lost.is_set()):
            lease.lose("the engine no longer knows this holder")
            raise lease.error()
        lease.released = True

    def close(self) -> None:
        """Stop renewing: locks that are still held end with their leases, and count as lost."""
        with self._changed:
            for lease in self._leases:
                lease.lose("the component was closed while it was held")
            self._leases.clear()
            self._changed.notify()

    def forget(self) -> None:
        """In a forked child: leave the locks to the parent."""
        self._changed = threading.Condition()
        self._thread = None
        for lease in self._leases:
            lease.leave_to_parent()
        self._leases.clear()

    def _start(self) -> None:
        thread = SupervisedThread(
            "capa-lock-renewer",
            self._run,
            log=self._log,
            stopping=lambda: False,  # `_run` itself sees that no lease is left, and says that it ended
            longest_rest_s=_LONGEST_REST_S,
        )
        thread.start()
        self._thread = thread

    def _run(self) -> None:
        changed = self._changed
        with changed:
            while self._leases:
                for lease in list(self._leases):
                    self._watch(lease)
                self._wakes_at = min((lease.next_event() for lease in self._leases), default=0.0)
                if self._leases:
                    changed.wait(max(0.0, self._wakes_at - now()))
            self._thread = None

    def _watch(self, lease: Lease) -> None:
        if lease.lost.is_set():
            self._leases.discard(lease)
        elif lease.renew_at <= now() and not lease.renewing:
            lease.renewing = True
            try:
                LoggedThread("capa-lock-renewal", partial(self._renew, lease), log=self._log).start()
            except BaseException:  # no thread could be started: the next round tries again
                lease.renewing = False
                raise

    def _renew(self, lease: Lease) -> None:
        started = now()
        lease.renew_at = started + lease.lease_s / _TRIES_IN_LEASE
        try:
            still_ours = self._guard.once("renew", self._driver.renew, lease.name, lease.owner, lease.lease_s)
        except CapaError as error:
            lease.failed_to_renew(error)
        except BaseException as error:
            lease.failed_to_renew(error)
            raise
        else:
            if still_ours:
                lease.renewed(started)
            elif lease in self._leases:  # else it was released meanwhile
                lease.lose("the engine no longer knows this holder")
        finally:
            lease.renewing = False
            with self._changed:
                self._changed.notify()

    def _log(self) -> Any:
        return telemetry.logger("lock", self._guard.name)
