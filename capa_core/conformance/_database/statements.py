"""Statements: their rows, their errors, and their time."""

from __future__ import annotations

import copy
import pickle
import time
from typing import Any

import pytest
from sqlalchemy import column, exc, select, table

from capa_core.blocks.database import Database
from capa_core.call.deadline import within
from capa_core.conformance._database.suite import ALL, ENDLESS, INSERT, Connect, Suite, make_tables
from capa_core.conformance._tolerance import SLOW_MACHINE_S
from capa_core.errors import (
    AlreadyExistsError,
    CapaError,
    ConflictError,
    DeadlineError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)

FAULTS: list[tuple[str, type[CapaError], type[exc.DBAPIError]]] = [
    ("INSERT INTO orders (id, status) VALUES (1, 'twice')", AlreadyExistsError, exc.IntegrityError),
    ("INSERT INTO orders (id, status) VALUES (2, NULL)", ConflictError, exc.IntegrityError),
    ("INSERT INTO orders (id, status, customer) VALUES (2, 'x', 9)", ConflictError, exc.IntegrityError),
    ("SELECT * FROM missing", NotFoundError, exc.DBAPIError),
    ("SELECT missing FROM orders", InvalidArgumentError, exc.DBAPIError),
    ("SELEC 1", InvalidArgumentError, exc.DBAPIError),
]


class StatementPromises(Suite):
    """The promises of `query`, `execute` and of what they raise."""

    def test_rows_have_the_values_by_the_names_of_columns(self, database: Database) -> None:
        changed = database.execute(INSERT, [{"id": 2, "status": "é🔑"}, {"id": 1, "status": ""}])

        assert 2 == changed
        assert [{"id": 1, "status": ""}, {"id": 2, "status": "é🔑"}] == database.query(ALL)

    def test_execute_returns_the_number_of_changed_rows(self, database: Database) -> None:
        for ident in range(3):
            database.execute(INSERT, {"id": ident, "status": "new"})

        assert 2 == database.execute("UPDATE orders SET status = 'paid' WHERE id > :id", {"id": 0})
        assert 0 == database.execute("DELETE FROM orders WHERE id = 9")

    def test_statements_of_sqlalchemy_are_executed(self, database: Database) -> None:
        orders = table("orders", column("id"), column("status"))
        database.execute(orders.insert().values(id=1, status="new"))

        assert [{"status": "new"}] == database.query(select(orders.c.status).where(orders.c.id == 1))

    @pytest.mark.parametrize("statement", [b"SELECT 1", None, 1, ["SELECT 1"]], ids=repr)
    def test_what_is_no_statement_is_refused(self, database: Database, statement: Any) -> None:
        for call in (database.query, database.execute):
            with pytest.raises(InvalidArgumentError, match="give SQL text"):
                call(statement)

    def test_a_query_without_rows_changes_nothing(self, database: Database) -> None:
        with (
            pytest.raises(InvalidArgumentError, match="Call `execute`"),
            database.transaction() as transaction,
        ):
            transaction.query("DELETE FROM orders")
        with pytest.raises(PermissionDeniedError):
            database.query("DELETE FROM orders")

    @pytest.mark.parametrize(("statement", "named", "native"), FAULTS, ids=[each[0] for each in FAULTS])
    def test_an_error_is_capa_s_and_sqlalchemy_s(
        self, database: Database, statement: str, named: type[CapaError], native: type[exc.DBAPIError]
    ) -> None:
        database.execute(INSERT, {"id": 1, "status": "new"})
        with pytest.raises(native) as raised:
            database.execute(statement)
        error: Any = raised.value

        assert (True, True) == (isinstance(error, named), isinstance(error, native))
        assert (named.code, named.retryable) == (error.code, error.retryable)
        assert isinstance(error.__cause__, type(error.orig))
        assert "database 'default'" in str(error)
        assert [{"id": 1, "status": "new"}] == database.query(ALL)

    def test_code_on_the_engine_gets_the_same_errors(self, database: Database) -> None:
        with pytest.raises(NotFoundError), database.engine.connect() as connection:
            connection.exec_driver_sql("SELECT * FROM missing")

    def test_an_error_does_not_show_the_values(self, database: Database) -> None:
        with pytest.raises(NotFoundError) as raised:
            database.execute("UPDATE missing SET status = :status", {"status": "a secret"})

        assert "a secret" not in str(raised.value)

    def test_an_error_survives_pickling(self, database: Database) -> None:
        with pytest.raises(exc.DBAPIError) as raised:
            database.query("SELECT * FROM missing")
        error: Any = raised.value
        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - our own
            assert (type(error), str(error)) == (type(again), str(again))

    # Time

    def test_a_statement_past_its_time_is_ended_and_the_next_one_works(self, database: Database) -> None:
        began = time.monotonic()
        with pytest.raises(DeadlineError) as raised:
            database.query(ENDLESS, deadline=0.2)

        assert isinstance(raised.value, exc.OperationalError)
        assert time.monotonic() - began < 1 + SLOW_MACHINE_S
        assert [] == database.query(ALL)

    def test_a_statement_past_its_time_undoes_its_transaction(self, database: Database) -> None:
        with pytest.raises(DeadlineError), database.transaction(deadline=0.5) as transaction:
            transaction.execute(INSERT, {"id": 1, "status": "new"})
            transaction.query(ENDLESS)

        assert [] == database.query(ALL)

    def test_the_time_of_the_settings_holds_for_code_on_the_engine(self, connect: Connect) -> None:
        with Database(connect(statement_s=0.2)) as database:
            for engine in (database.engine, database.reading_engine):
                with pytest.raises(DeadlineError), engine.connect() as connection:
                    connection.exec_driver_sql(ENDLESS)

    def test_a_transaction_may_have_more_time_than_the_settings_give(self, connect: Connect) -> None:
        with (
            Database(connect(statement_s=0.001)) as database,
            database.transaction(deadline=60) as transaction,
        ):
            assert [{"found": 1}] == transaction.query("SELECT 1 AS found")

    def test_a_statement_ends_with_the_time_of_its_caller(self, database: Database) -> None:
        began = time.monotonic()
        with within(0.2), pytest.raises(DeadlineError):
            database.query(ENDLESS)

        assert time.monotonic() - began < 1 + SLOW_MACHINE_S
        assert [] == database.query(ALL)

    def test_the_time_of_a_statement_begins_with_it(self, connect: Connect) -> None:
        with Database(connect(statement_s=1)) as database:
            make_tables(database)
            with database.transaction() as transaction:
                transaction.execute(INSERT, {"id": 1, "status": "new"})
                time.sleep(1.2)
                transaction.execute(INSERT, {"id": 2, "status": "new"})

            assert 2 == len(database.query(ALL))

    @pytest.mark.parametrize("deadline", [0, -1, 86_401, "1", True, float("nan"), float("inf")], ids=repr)
    def test_an_invalid_deadline_is_refused(self, database: Database, deadline: Any) -> None:
        with pytest.raises(InvalidArgumentError, match="deadline"):
            database.query(ALL, deadline=deadline)
        with pytest.raises(InvalidArgumentError, match="deadline"):
            database.transaction(deadline=deadline)
