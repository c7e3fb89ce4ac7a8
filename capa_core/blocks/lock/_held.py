"""A held lock: its fencing token, its check, and its release."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self

from capa_core.blocks.lock._lease import Lease
from capa_core.call.handlers import check_plain
from capa_core.call.traits import blocking, call_traits
from capa_core.errors import CapaError


@blocking()
class Held:
    """A lock that this process holds, renewed in the background until `release`. A context manager.

    Attributes:
        name: Of the lock.
        owner: The name by which the engine knows the holder.
        token: Grows with each acquisition. Send it with each write to the protected resource, which must refuse
            a token below the highest that it has seen: no other way is safe against a holder that was paused.
        lost: Set before another holder can have the lock. Check it between the steps of long work.
        lease_s: Seconds after the death of the holder until the lock is free.
    """

    def __init__(self, lease: Lease, release: Callable[[Lease], None]) -> None:
        self.name: str = lease.name
        self.owner: str = lease.owner
        self.token: int = lease.token
        self.lost: threading.Event = lease.lost
        self.lease_s: float = lease.lease_s
        self._lease = lease
        self._release = release

    @call_traits(handler="callback")
    def on_lost(self, callback: Callable[[Held], object]) -> None:
        """Call *callback* with this object, once, from another thread, when the lock is lost; at once if it is.

        Raises:
            InvalidArgumentError: *callback* is not a plain function.
        """
        check_plain("callback", callback)
        self._lease.on_lost(partial(callback, self))

    @call_traits(immediate=True)
    def check(self) -> None:
        """Do nothing while the lock is held.

        Raises:
            LockLostError: It is lost: stop, and do not write to the protected resource.
        """
        self._lease.check()

    def release(self) -> None:
        """Free the lock. Once that is done, another `release` does nothing.

        Raises:
            LockLostError: It was lost before: others may have changed the protected resource meanwhile.
            UnavailableError: The engine did not answer. The lock is free when its lease ends, at the latest.
        """
        if not self._lease.released:
            self.check()
            self._release(self._lease)

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
