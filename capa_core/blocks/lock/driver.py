"""The driver contract of locks: leases with fencing tokens."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from capa_core.abilities import Feature, Level
from capa_core.driver import Driver, SettingsT

LONGEST_NAME = 512
SHORTEST_LEASE_S = 0.1
LONGEST_LEASE_S = 86_400.0


class LockFeature(Feature):
    """Abilities of locks."""

    LEASE = ("lease", Level.ALWAYS)
    """The lock of a dead holder is free after its lease."""
    FENCING = ("fencing", Level.ALWAYS)
    """Each acquisition has a number above all earlier ones of that lock."""
    RENEW = ("renew", Level.ALWAYS)
    """A holder can restart its lease."""
    SHARED = ("shared", Level.COMMON)
    """Several processes contend for the same locks."""
    DURABLE = ("durable", Level.COMMON)
    """Holders and tokens survive a crash of the engine."""
    INSPECT = ("inspect", Level.COMMON)
    """The locks that are held can be listed with holder, token and remaining lease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockLimits:
    """The bounds of names and leases.

    Attributes:
        max_name_length: In characters, of names and owners; the same on every component.
        min_lease_s: The shortest lease.
        max_lease_s: The longest lease.
    """

    max_name_length: int = LONGEST_NAME
    min_lease_s: float = SHORTEST_LEASE_S
    max_lease_s: float = LONGEST_LEASE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class LockStatus:
    """A lock that is held.

    Attributes:
        owner: The name by which the engine knows the holder; for `Locks.lock`, host, process and a random part.
        token: The fencing token.
        left_s: Seconds until the lease ends, unless it is renewed.
    """

    name: str
    owner: str
    token: int
    left_s: float


class LockDriver(Driver[SettingsT]):
    """Leases by name. Names are 1 to 512 characters; owners are unique texts that the portable type makes.

    Attributes:
        in_the_way: Lock → place of what another program wrote there, as the last `acquire` of the lock found it. Such a
            lock counts as held by another owner; nobody renews or releases it.
    """

    def __init__(self, settings: SettingsT) -> None:
        super().__init__(settings)
        self.in_the_way: dict[str, str] = {}

    @property
    def limits(self) -> LockLimits:
        """The bounds that the engine sets. Read once, before anything is opened."""
        return LockLimits()

    @abstractmethod
    def acquire(self, name: str, owner: str, lease_s: float) -> int | None:
        """Acquire the lock and return its fencing token, or `None` at once if another owner holds it.

        Tokens *must* grow with each acquisition of *name*, also after the lock was free for long. Where a count
        could get lost, it *must* begin at the milliseconds since the epoch, which no earlier count has reached.

        A second `acquire` by the owner that holds it restarts the lease and returns the same token, so that a
        repeat after a lost answer is safe. The lease begins no earlier than the call.
        """

    @abstractmethod
    def renew(self, name: str, owner: str, lease_s: float) -> bool:
        """Restart the lease and return `True`; return `False` if *owner* no longer holds the lock."""

    @abstractmethod
    def release(self, name: str, owner: str) -> bool:
        """Free the lock and return `True`; change nothing and return `False` if *owner* no longer holds it."""

    def inspect(self) -> Iterator[LockStatus]:
        """Yield each lock that is held, once, in no order. INSPECT.

        It *must not* hold a lock or a connection between two of them, nor all of them in this process.
        """
        raise NotImplementedError

    def foreign(self) -> Iterator[str]:
        """Yield the place of each value of another program that keeps a lock from being acquired. INSPECT."""
        return iter(())
