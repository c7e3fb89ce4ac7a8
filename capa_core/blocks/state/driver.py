"""What a key-value engine must do to be a state component."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from capa_core.abilities import Feature, Level
from capa_core.driver import Driver, SettingsT


class StateFeature(Feature):
    """Abilities of state."""

    ETAG = ("etag", Level.ALWAYS)
    """A write can require the present etag (first write wins)."""
    TTL = ("ttl", Level.ALWAYS)
    """A value can go away by itself."""
    BULK = ("bulk", Level.ALWAYS)
    """Many keys are read, written or deleted in one trip."""
    WAIT = ("wait", Level.ALWAYS)
    """A caller can wait until a key changes."""
    TRANSACTION = ("transaction", Level.COMMON)
    """Several writes happen all or not at all."""
    SCAN = ("scan", Level.COMMON)
    """Keys can be listed by prefix."""
    INCREMENT = ("increment", Level.ALWAYS)
    """A whole number can be added to atomically."""
    DURABLE = ("durable", Level.COMMON)
    """An acknowledged write survives a crash of the process and of the machine."""


@dataclass(frozen=True, slots=True)
class StateItem:
    """A stored value with its etag: opaque text that changes with each write."""

    key: str
    value: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class Put:
    """One write.

    Attributes:
        ttl_s: Seconds until the value goes away; `None` keeps it.
        if_etag: `None` writes always; `""` only if there is no value; else only if this is the present etag.
        notify: Wake the waiters on this key at once, where the engine needs to be told.
    """

    key: str
    value: bytes
    ttl_s: float | None = None
    if_etag: str | None = None
    notify: bool = False


@dataclass(frozen=True, slots=True)
class Delete:
    """One deletion; *if_etag* as in `Put`."""

    key: str
    if_etag: str | None = None


class StateDriver(Driver[SettingsT]):
    """Keys are 1 to 512 characters of any Unicode; the driver escapes what its engine cannot hold."""

    @abstractmethod
    def get(self, key: str) -> StateItem | None:
        """Return the value, or `None` if there is none or its time has run out."""

    @abstractmethod
    def get_many(self, keys: Sequence[str]) -> list[StateItem | None]:
        """Return each value in the order asked; one trip if BULK is the driver's."""

    @abstractmethod
    def put(self, write: Put) -> str | None:
        """Store and return the new etag, or `None` if *if_etag* does not hold (nothing is stored then)."""

    @abstractmethod
    def put_many(self, writes: Sequence[Put]) -> list[str | None]:
        """Store each on its own, as `put` does; not a transaction."""

    @abstractmethod
    def delete(self, deletion: Delete) -> bool | None:
        """Delete; `True` if there was a value, `False` if not, `None` if *if_etag* does not hold."""

    @abstractmethod
    def transact(self, operations: Sequence[Put | Delete]) -> bool:
        """Do all or none; `False`, with nothing done, if an *if_etag* does not hold. Absent TRANSACTION: never called."""

    @abstractmethod
    def scan(self, prefix: str) -> Iterator[str]:
        """Yield each key with this prefix once, in no order. Keys written meanwhile may or may not be there."""

    @abstractmethod
    def increment(self, key: str, by: int, ttl_s: float | None) -> int:
        """Add to a decimal number (missing counts as 0) and return the sum; *ttl_s* is set when the key is new."""

    @abstractmethod
    def wait(self, key: str, etag: str, timeout_s: float) -> StateItem | None:
        """Return the value as soon as its etag differs from *etag* (`""`: as soon as there is one).

        `None` when *timeout_s* passed first. Must look before it waits, so that a change between the caller's
        `get` and this call is not missed. Only writes with `notify` need to wake it at once; others within 1 s.
        """
