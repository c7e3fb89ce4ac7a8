"""Renews the locks that are held, and says in time which are lost."""

from __future__ import annotations

import threading
from typing import Any

from capa_core.blocks.lock._held import Held, now
from capa_core.blocks.lock.driver import LockDriver
from capa_core.call import Guard
from capa_core.errors import CapaError

_TRIES_IN_LEASE = 12


class Keeper:
    """One thread that keeps the time of all locks held through one component; it runs while there are any.

    It never waits for the engine, so that a slow one cannot delay the news of a loss: each renewal has a thread of
    its own, which at three in a lease costs nothing.
    """

    def __init__(self, driver: LockDriver[Any], guard: Guard) -> None:
        self._driver = driver
        self._guard = guard
        self._held: set[Held] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._wakes_at = 0.0

    def keep(self, held: Held) -> None:
        """Renew *held* from now on."""
        with self._changed:
            self._held.add(held)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="capa-lock-keeper", daemon=True)
                self._thread.start()
            elif held.renew_at < self._wakes_at:
                self._changed.notify()

    def release(self, held: Held) -> None:
        """Stop renewing *held* and free it.

        Raises:
            LockLostError: It was lost.
            UnavailableError: The engine did not answer.
        """
        with self._changed:
            self._held.discard(held)
        tries = 0

        def release() -> bool:
            nonlocal tries
            tries += 1
            return self._driver.release(held.name, held.owner)

        freed = self._guard.safe("release", release)
        # A second try may find that the first, whose answer was lost, has freed it: within the lease nobody else could.
        if not freed and (tries == 1 or held.lost.is_set()):
            held.lose("the engine does not know this holder any more")
            raise held.lost_error()

    def close(self) -> None:
        """Stop renewing: what is still held ends with its lease, and counts as lost."""
        with self._changed:
            for held in self._held:
                held.lose("the component was closed while it was held")
            self._held.clear()
            self._changed.notify()

    def forget(self) -> None:
        """In a forked child: the locks stay with the parent."""
        self._changed = threading.Condition()
        self._thread = None
        for held in self._held:
            held.leave_to_parent()
        self._held.clear()

    def _run(self) -> None:
        changed = self._changed
        with changed:
            while self._held:
                for held in list(self._held):
                    self._look_after(held)
                self._wakes_at = min((held.next_look() for held in self._held), default=0.0)
                if self._held:
                    changed.wait(max(0.0, self._wakes_at - now()))
            self._thread = None

    def _look_after(self, held: Held) -> None:
        if held.lost.is_set():
            self._held.discard(held)
        elif held.renew_at <= now() and not held.renewing:
            held.renewing = True
            threading.Thread(target=self._renew, args=(held,), name="capa-lock-renewal", daemon=True).start()

    def _renew(self, held: Held) -> None:
        started = now()
        held.renew_at = started + held.lease_s / _TRIES_IN_LEASE
        try:
            still_ours = self._guard.once("renew", self._driver.renew, held.name, held.owner, held.lease_s)
        except CapaError as error:
            held.failed_to_renew(error)
        else:
            if still_ours:
                held.renewed(started)
            elif held in self._held:  # else it was released meanwhile
                held.lose("the engine does not know this holder any more")
        finally:
            held.renewing = False
            with self._changed:
                self._changed.notify()
