"""The contract of state drivers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from capa_core.abilities import Feature, Level
from capa_core.driver import Driver, SettingsT
from capa_core.errors import ConflictError

LONGEST_KEY = 512
LARGEST_NUMBER = 2**63 - 1
SMALLEST_NUMBER = -(2**63)


class StateFeature(Feature):
    """Abilities of state."""

    ETAG = ("etag", Level.ALWAYS)
    """A write can require the current etag (first write wins)."""
    TTL = ("ttl", Level.ALWAYS)
    """A value can expire."""
    BULK = ("bulk", Level.ALWAYS)
    """Many keys are read, written or deleted in one round trip."""
    WAIT = ("wait", Level.ALWAYS)
    """A call can wait until a key changes."""
    TRANSACTION = ("transaction", Level.COMMON)
    """Several writes happen all or not at all."""
    SCAN = ("scan", Level.COMMON)
    """Keys can be listed by prefix."""
    INCREMENT = ("increment", Level.ALWAYS)
    """A whole number can be incremented atomically."""
    SHARED = ("shared", Level.COMMON)
    """Several processes see the same values."""
    DURABLE = ("durable", Level.COMMON)
    """An acknowledged write survives a crash of the process and of the machine."""
    INSPECT = ("inspect", Level.COMMON)
    """The number of keys and their size can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLimits:
    """The limits of a component; `None` where no limit is known.

    Attributes:
        max_key_length: The longest key in characters; the same on every component.
        max_value_bytes: The largest value.
        max_ttl_s: The longest time to live.
    """

    max_key_length: int = LONGEST_KEY
    max_value_bytes: int | None = None
    max_ttl_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateStatus:
    """The status of a component at one moment.

    Attributes:
        keys: The number of keys with a value.
        complete: Whether all keys were counted; if not, counting ended at *keys*.
        size_bytes: The space that the engine uses for them; `None` if it does not report it.
    """

    keys: int
    complete: bool = True
    size_bytes: int | None = None


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
        ttl_s: Seconds until the value expires; `None`: it does not expire.
        if_etag: `None` writes always; `""` only if there is no value; else only if this is the current etag.
        notify: Wake the waiters on this key at once, on engines that need a request for it.
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
    """The contract of state. Keys are 1 to 512 characters of any Unicode; the driver escapes unsupported ones.

    A driver *must* have ETAG. It may leave BULK, WAIT and TTL with INCREMENT to the core, which then neither
    calls their methods nor passes a `ttl_s`. TTL and INCREMENT go together: the core stores the expiry inside the
    value, and only the core can preserve it in an increment. The methods of an ability that the core provides, or that
    is absent, are never called and need not exist.

    An etag *must not* be reused for its key, also after the value was deleted and stored again. An expired value *must*
    be absent for every method, exact to the second.
    """

    @property
    def limits(self) -> StateLimits:
        """The limits of the engine. Read once, before anything is opened."""
        return StateLimits()

    @abstractmethod
    def get(self, key: str) -> StateItem | None:
        """Return the value; `None` if there is none or it has expired."""

    @abstractmethod
    def put(self, write: Put) -> str | None:
        """Store and return the new etag; `None`, with nothing stored, if *if_etag* does not match.

        Without `ttl_s` it *must* remove the expiry of an earlier value.
        """

    @abstractmethod
    def delete(self, deletion: Delete) -> bool | None:
        """Delete and return whether there was a value; `None` if *if_etag* does not match."""

    def get_many(self, keys: Sequence[str]) -> list[StateItem | None]:
        """Return each value in the order of *keys*, in one round trip. BULK."""
        raise NotImplementedError

    def put_many(self, writes: Sequence[Put]) -> list[str | None]:
        """Store each independently, as `put` does; not a transaction. BULK."""
        raise NotImplementedError

    def delete_many(self, keys: Sequence[str]) -> int:
        """Delete each and return the number of those with a value. BULK."""
        raise NotImplementedError

    def transact(self, operations: Sequence[Put | Delete]) -> bool:
        """Do all or none; return `False`, with nothing done, if an *if_etag* does not match. TRANSACTION.

        The keys are distinct. No reader may see some of the writes without the others.
        """
        raise NotImplementedError

    def scan(self, prefix: str) -> Iterator[str]:
        """Yield each key with this prefix once, in no order. SCAN.

        Keys written meanwhile may be missing. It *must not* hold a lock or a connection between two keys.
        """
        raise NotImplementedError

    def increment(self, key: str, by: int, ttl_s: float | None) -> int:
        """Add to a decimal number (0 if missing) and return the sum. INCREMENT.

        *ttl_s* applies to a new key; an existing one keeps its expiry. The sum is stored as decimal text, with a new
        etag.

        Raises:
            ConflictError: The value is not a whole number, or the sum has more than 64 bits. Nothing changes.
        """
        raise NotImplementedError

    def wait(self, key: str, etag: str, timeout_s: float) -> StateItem | None:
        """Return the value as soon as its etag differs from *etag* (`""`: as soon as there is one). WAIT.

        It returns `None` if *timeout_s* passes first. It *must* read before it waits, so that a change between the
        caller's `get` and this call is not missed. Only writes with `notify` need to wake it at once; others within
        1 s. An engine that does not answer *must not* delay it by more than a second after *timeout_s*.
        """
        raise NotImplementedError

    def inspect(self, most: int) -> StateStatus:
        """Return the number of keys, counted up to *most*. INSPECT.

        It *must not* load all keys into this process, nor block the engine for long.
        """
        raise NotImplementedError


def added(key: str, stored: bytes | None, by: int) -> int:
    """Return the sum for `StateDriver.increment`, for engines without an increment of their own.

    Raises:
        ConflictError: *stored* is not a whole number in its shortest form, or the sum has more than 64 bits.
    """
    text = "0" if stored is None else stored.decode("ascii", "replace")
    if not text.removeprefix("-").isdecimal() or str(int(text)) != text:
        raise ConflictError(f"{key!r} does not hold a whole number; nothing was added. Use another key.")
    total = int(text) + by
    if not SMALLEST_NUMBER <= total <= LARGEST_NUMBER:
        raise ConflictError(f"{key!r} holds {text}: adding {by} would exceed 64 bits. Nothing was added.")
    return total
