"""Databases by logical name: engines of SQLAlchemy, transactions, and calls of one statement."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from capa_core.blocks.database._transaction import Parameters, Statement, Transaction
from capa_core.blocks.database.driver import DEADLINE, DatabaseDriver, DatabaseLimits, PoolStatus
from capa_core.call import DEFAULT_POLICY, Policy
from capa_core.call.checks import Duration, seconds
from capa_core.call.handlers import check_plain
from capa_core.call.portable import Portable, counted
from capa_core.call.traits import call_traits
from capa_core.errors import UnavailableError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

T = TypeVar("T")


class Database(Portable[DatabaseDriver[Any]]):
    """A database by SQL, on the engine of this component: SQLAlchemy's engine behind a logical name.

        with database.transaction() as transaction:
            transaction.execute("UPDATE stock SET count = count - 1 WHERE sku = :sku", {"sku": "A1"})
        rows = database.query("SELECT sku, count FROM stock")
        Session = sqlalchemy.orm.sessionmaker(database.engine)

    An error of the database is SQLAlchemy's and Capa's at once: `except sqlalchemy.exc.IntegrityError` and
    `except capa_core.errors.ConflictError` catch the same one. Safe for many threads, and across fork: a child opens
    connections of its own.

    Any call may raise `UnavailableError` (no connection, or it was lost: a transaction that is not committed has no
    effect), `DeadlineError` (a statement went past its time, or all connections were in use), `PermissionDeniedError`
    (credentials, rights, or a write in a transaction that only reads), and `ClosedError`.
    """

    def __init__(
        self, driver: DatabaseDriver[Any], *, name: str = "default", policy: Policy = DEFAULT_POLICY
    ) -> None:
        super().__init__("database", driver, name, policy)
        self._limits = driver.limits

    @property
    def limits(self) -> DatabaseLimits:
        """The limits of the component."""
        return self._limits

    @property
    def engine(self) -> Engine:
        """SQLAlchemy's engine for writes, the same one each time. It connects when it is first used.

        The component owns it: do not dispose of it.
        """
        return self._driver.engine(read_only=False)

    @property
    def reading_engine(self) -> Engine:
        """SQLAlchemy's engine for reads: of the replica if the settings name one. It refuses writes."""
        return self._driver.engine(read_only=True)

    @call_traits(opens=True)
    def transaction(self, *, read_only: bool = False, deadline: Duration | None = None) -> Transaction:
        """Open a transaction, which `with` commits at its end, or rolls back after an exception.

        Args:
            read_only: Refuse writes, and read from the replica if the settings name one. A replica may be behind: read
                in the transaction that wrote, or in another one without *read_only*, what must be seen.
            deadline: The time of each statement in it, 0.001 s to a day; `None` for `statement_s` of the settings.
        """
        limit_s = self._checked(deadline)
        return self._guard.once("transaction", self._begun, read_only, limit_s)

    def run(
        self,
        function: Callable[[Transaction], T],
        *,
        read_only: bool = False,
        deadline: Duration | None = None,
    ) -> T:
        """Call *function* with a transaction, commit, and return the result.

        Args:
            function: May be called several times, each time with a new transaction, after the one before was undone.
            read_only: As in `transaction`.
            deadline: As in `transaction`.

        Raises:
            Exception: Of *function*; nothing took effect.

        Retries: repeated after a deadlock, a serialization failure or a lost connection, but not where the commit
            itself failed, which may have taken effect.
        """
        check_plain("function", function)
        limit_s = self._checked(deadline)
        committing = False

        def once() -> T:
            nonlocal committing
            with self._begun(read_only, limit_s) as transaction:
                result = function(transaction)
                committing = True
                transaction.commit()
            committing = False
            return result

        last_start = time.monotonic() + self._guard.policy.deadline_s - self._guard.policy.attempt_s
        return self._guard.repeated(once, last_start, lambda error: not committing and _is_undone(error))

    def query(
        self, statement: Statement, parameters: Parameters = None, *, deadline: Duration | None = None
    ) -> list[dict[str, Any]]:
        """Return the rows of *statement*, each with the values by the names of the columns.

        It reads from the replica if the settings name one; see `transaction`.

        Raises:
            InvalidArgumentError: It returns no rows, or is no statement.

        Retries: as `run`.
        """
        return self.run(lambda one: one.query(statement, parameters), read_only=True, deadline=deadline)

    def execute(
        self, statement: Statement, parameters: Parameters = None, *, deadline: Duration | None = None
    ) -> int:
        """Execute *statement*, commit, and return the number of rows that it changed; -1 if the engine does not say.

        Raises:
            ConflictError: It breaks a constraint. Nothing was changed.
            InvalidArgumentError: It is no statement, or the engine does not accept it.

        Retries: as `run`.
        """
        return self.run(lambda one: one.execute(statement, parameters), deadline=deadline)

    def inspect(self) -> Sequence[PoolStatus]:
        """Return the status of each pool that was opened: connections in use, idle and beyond, and waiting callers."""
        return self._driver.inspect()

    def summary(self) -> str:
        """See `Portable.summary`."""
        return counted(sum(pool.in_use for pool in self.inspect()), "connection") + " in use"

    def _begun(self, read_only: bool, limit_s: float | None) -> Transaction:
        engine = self._driver.engine(read_only=read_only)
        connection: Connection = engine.connect()
        try:
            if limit_s is not None:
                connection = connection.execution_options(**{DEADLINE: limit_s})
            connection.begin()
        except BaseException:
            connection.close()
            raise
        return Transaction(connection)

    def _checked(self, deadline: Duration | None) -> float | None:
        if deadline is None:
            return None
        return seconds("deadline", deadline, least=0.001, most=self._limits.max_deadline_s)


def _is_undone(error: Exception) -> bool:
    """Return whether *error*, met before the commit, leaves nothing behind that a repeat would do twice."""
    return isinstance(error, UnavailableError)
