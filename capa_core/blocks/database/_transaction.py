"""A transaction of a database: one connection, whose statements all take effect or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Union

from capa_core.call.traits import blocking
from capa_core.errors import InvalidArgumentError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Executable

Statement = Union[str, "Executable"]
"""SQL text with parameters such as `:name`, or a statement that SQLAlchemy has built."""
Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None
"""Values by name; several of these execute the statement once for each; `None` for a statement without any."""


@blocking()
class Transaction:
    """An open transaction. At the end of a `with` block it is committed, or after an exception rolled back.

        with database.transaction() as transaction:
            transaction.execute("INSERT INTO orders (id) VALUES (:id)", {"id": 42})
            transaction.connection.execute(sqlalchemy.insert(orders).values(id=43))

    All of its statements go over one connection, to the server where it began. Used by one thread at a time. Calls
    raise what SQLAlchemy raises, which is also Capa's error; see docs/how-to/use-a-database.md.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def connection(self) -> Connection:
        """SQLAlchemy's connection, for whatever SQLAlchemy can do; `Session(bind=transaction.connection)` too."""
        return self._connection

    def query(self, statement: Statement, parameters: Parameters = None) -> list[dict[str, Any]]:
        """Execute *statement* and return its rows, each with the values by the names of the columns.

        Raises:
            InvalidArgumentError: It returns no rows; or it is neither text nor a statement.
        """
        result = self._connection.execute(_executable(statement), parameters)
        if not result.returns_rows:
            raise InvalidArgumentError("the statement returns no rows. Call `execute`.")
        return [dict(row) for row in result.mappings()]

    def execute(self, statement: Statement, parameters: Parameters = None) -> int:
        """Execute *statement* and return the number of rows that it changed; -1 if the engine does not say.

        Raises:
            InvalidArgumentError: It is neither text nor a statement.
        """
        return self._connection.execute(_executable(statement), parameters).rowcount

    def commit(self) -> None:
        """Commit what was done so far, and go on in a further transaction on the same connection.

        Raises:
            UnavailableError: The engine did not answer. All statements took effect, or none.
        """
        self._connection.commit()

    def rollback(self) -> None:
        """Undo what was done since the beginning or the last `commit`, and go on in a further transaction."""
        self._connection.rollback()

    def close(self) -> None:
        """Roll back what is not committed, and give the connection back. A second `close` does nothing."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._connection.commit()
        finally:
            self._connection.close()


def _executable(statement: Statement) -> Executable:
    from sqlalchemy import text
    from sqlalchemy.sql.base import Executable

    if isinstance(statement, str):
        return text(statement)
    if not isinstance(statement, Executable):
        raise InvalidArgumentError(
            f"the statement is of type {type(statement).__name__}: give SQL text, or a statement of SQLAlchemy"
        )
    return statement
