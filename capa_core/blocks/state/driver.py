"""What a key-value engine must do to be a state component."""

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
    SHARED = ("shared", Level.COMMON)
    """Several processes see the same values."""
    DURABLE = ("durable", Level.COMMON)
    """An acknowledged write survives a crash of the process and of the machine."""
    INSPECT = ("inspect", Level.COMMON)
    """The number of keys can be asked for, and the room that they take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLimits:
    """The most that a component holds; `None` where no limit is known.

    Attributes:
        max_key_length: In characters; the same on every component.
        max_value_bytes: Of one value.
        max_ttl_s: The longest time to live.
    """

    max_key_length: int = LONGEST_KEY
    max_value_bytes: int | None = None
    max_ttl_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateStatus:
    """What a component holds at one moment.

    Attributes:
        keys: How many keys have a value.
        complete: Whether these are all; if not, counting ended there.
        size_bytes: Room that the engine takes for them; `None` where it does not tell.
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
    """Keys are 1 to 512 characters of any Unicode; the driver escapes what its engine cannot hold.

    A driver *must* have ETAG. It may leave BULK, WAIT and TTL with INCREMENT to the core, which then calls neither
    their methods nor gives a `ttl_s`. TTL and INCREMENT go together: the core keeps the expiry inside the value, and
    only it can keep it there when it adds. The methods of an ability that is the core's or absent are never called
    and need not be there.

    An etag *must not* come again for its key, also after the value was deleted and stored anew. A value whose time
    has run out *must* look as if it were not there to every method, to the second.
    """

    @property
    def limits(self) -> StateLimits:
        """The most that the engine holds. Read once, before anything is opened."""
        return StateLimits()

    @abstractmethod
    def get(self, key: str) -> StateItem | None:
        """Return the value, or `None` if there is none or its time has run out."""

    @abstractmethod
    def put(self, write: Put) -> str | None:
        """Store and return the new etag, or `None` if *if_etag* does not hold (nothing is stored then).

        Without `ttl_s` it *must* take away the time that an earlier value had.
        """

    @abstractmethod
    def delete(self, deletion: Delete) -> bool | None:
        """Delete; `True` if there was a value, `False` if not, `None` if *if_etag* does not hold."""

    def get_many(self, keys: Sequence[str]) -> list[StateItem | None]:
        """Return each value in the order asked, in one trip. BULK."""
        raise NotImplementedError

    def put_many(self, writes: Sequence[Put]) -> list[str | None]:
        """Store each on its own, as `put` does; not a transaction. BULK."""
        raise NotImplementedError

    def delete_many(self, keys: Sequence[str]) -> int:
        """Delete each and return how many had a value. BULK."""
        raise NotImplementedError

    def transact(self, operations: Sequence[Put | Delete]) -> bool:
        """Do all or none; `False`, with nothing done, if an *if_etag* does not hold. TRANSACTION.

        The keys are distinct. No reader may see some of the writes without the others.
        """
        raise NotImplementedError

    def scan(self, prefix: str) -> Iterator[str]:
        """Yield each key with this prefix once, in no order. SCAN.

        Keys written meanwhile may or may not be there. It *must not* hold a lock or a connection between two keys.
        """
        raise NotImplementedError

    def increment(self, key: str, by: int, ttl_s: float | None) -> int:
        """Add to a decimal number (missing counts as 0) and return the sum. INCREMENT.

        *ttl_s* is set when the key is new; else its time stays. The sum is stored as decimal text, with a new etag.

        Raises:
            ConflictError: The value is no whole number, or the sum has more than 64 bits. Nothing changes.
        """
        raise NotImplementedError

    def wait(self, key: str, etag: str, timeout_s: float) -> StateItem | None:
        """Return the value as soon as its etag differs from *etag* (`""`: as soon as there is one). WAIT.

        `None` when *timeout_s* passed first. Must look before it waits, so that a change between the caller's
        `get` and this call is not missed. Only writes with `notify` need to wake it at once; others within 1 s.
        An engine that does not answer must not hold it for more than a second after *timeout_s*.
        """
        raise NotImplementedError

    def inspect(self, most: int) -> StateStatus:
        """Return how many keys there are, counted up to *most*. INSPECT.

        It *must not* hold all keys in this process, nor the engine for long.
        """
        raise NotImplementedError


def added(key: str, stored: bytes | None, by: int) -> int:
    """Return the sum for `StateDriver.increment`, for engines that cannot add by themselves.

    Raises:
        ConflictError: *stored* is no whole number in its shortest form, or the sum has more than 64 bits.
    """
    text = "0" if stored is None else stored.decode("ascii", "replace")
    if not text.removeprefix("-").isdecimal() or str(int(text)) != text:
        raise ConflictError(f"{key!r} holds no whole number, so nothing can be added. Use another key.")
    total = int(text) + by
    if not SMALLEST_NUMBER <= total <= LARGEST_NUMBER:
        raise ConflictError(f"{key!r} holds {text}: adding {by} leaves the range of 64 bits.")
    return total
