"""Be the only one who does something: locks that end with their holder, and tokens that tell who came later."""

from capa_core.blocks.lock._held import Held
from capa_core.blocks.lock._portable import Lock, Locks
from capa_core.blocks.lock.driver import LockDriver, LockFeature

__all__ = ["Held", "Lock", "LockDriver", "LockFeature", "Locks"]
