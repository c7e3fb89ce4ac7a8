"""Distributed locks: acquire, hold and release a lease, with a fencing token."""

from capa_core.block import Block, Closing
from capa_core.blocks.lock._held import Held
from capa_core.blocks.lock._portable import Lock, Locks
from capa_core.blocks.lock.driver import LockDriver, LockFeature, LockLimits, LockStatus

__all__ = ["BLOCK", "Held", "Lock", "LockDriver", "LockFeature", "LockLimits", "LockStatus", "Locks"]

BLOCK = Block(
    name="lock",
    portable=Locks,
    driver=LockDriver,
    features=LockFeature,
    embedded="sqlite",
    server="redis",
    closing=Closing.STORE,
    face=("Locks",),
)
