"""The contract of drivers of databases: engines of SQLAlchemy, for writes and for reads."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capa_core.abilities import Feature, Level
from capa_core.driver import Driver, SettingsT

if TYPE_CHECKING:
    from sqlalchemy import Engine

LONGEST_DEADLINE_S = 86_400.0
"""The longest time for a statement, in seconds: a day."""
DEADLINE = "capa_deadline_s"
"""The execution option of SQLAlchemy that bounds each statement of a connection, in seconds."""


class DatabaseFeature(Feature):
    """Abilities of databases."""

    TRANSACTION = ("transaction", Level.ALWAYS)
    """All statements of a transaction take effect, or none."""
    DEADLINE = ("deadline", Level.ALWAYS)
    """A statement that goes past its time is ended, and the next one finds a connection that works."""
    READ_ONLY = ("read only", Level.ALWAYS)
    """A transaction that only reads is refused each write."""
    FOREIGN_KEYS = ("foreign keys", Level.ALWAYS)
    """The engine refuses a row whose foreign key leads nowhere."""
    CONCURRENT_READS = ("concurrent reads", Level.COMMON)
    """A transaction that writes does not keep those waiting that only read."""
    CONCURRENT_WRITES = ("concurrent writes", Level.COMMON)
    """Transactions that write different rows do not wait for each other."""
    SHARED = ("shared", Level.COMMON)
    """Several processes see the same tables."""
    DURABLE = ("durable", Level.COMMON)
    """A committed change survives a crash of the process and of the machine."""
    REPLICA = ("replica", Level.SOME)
    """Transactions that only read can go to another server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseLimits:
    """The limits of a component.

    Attributes:
        max_connections: Connections that a pool has at once; there is one for writes, and one for reads.
        max_deadline_s: The longest time for a statement.
    """

    max_connections: int
    max_deadline_s: float = LONGEST_DEADLINE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatus:
    """The pool of connections of an engine, at one moment.

    Attributes:
        read_only: Whether it is the pool of transactions that only read.
        address: The place of the data, without credentials.
        size: Connections that stay open.
        overflow: Connections beyond *size* that are open now.
        in_use: Connections that callers have.
        idle: Connections that wait for callers.
        waiting: Callers that wait for a connection, or for one to be opened.
    """

    read_only: bool
    address: str
    size: int
    overflow: int
    in_use: int
    idle: int
    waiting: int


class DatabaseDriver(Driver[SettingsT]):
    """Engines of SQLAlchemy, one for writes and one for reads, which *may* be the same server.

    Errors of the engines *must* be both what SQLAlchemy raises for them and Capa's, so that either can be caught, also
    by code that uses the engine itself. `SqlDatabase` in `capa_core.blocks.database.over_sqlalchemy` does all of
    this over the particulars of a dialect.
    """

    @property
    @abstractmethod
    def limits(self) -> DatabaseLimits:
        """The limits of the component. Read once, before anything is opened."""

    @abstractmethod
    def engine(self, *, read_only: bool) -> Engine:
        """Return the engine, the same one each time, without connecting.

        A connection of the one that reads *must* refuse writes. Each statement *must* end by the execution option
        `DEADLINE`, or the settings' `statement_s` where it has none, and by the caller's own deadline. A pool *must*
        give a connection, or raise `DeadlineError`, within the settings' `timeout_s`. A connection *must* log in with
        the credentials that hold when it is opened.

        After a fork the engine *must* hold in the child too, on connections of its own. After `close` it *must* raise
        `ClosedError` for each new connection; a transaction that is open *may* end.
        """

    @abstractmethod
    def inspect(self) -> Sequence[PoolStatus]:
        """Return the status of each pool that was opened."""
