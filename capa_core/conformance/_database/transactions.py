"""Transactions: all or nothing, reads apart from writes, and side by side."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import exc, text

from capa_core.blocks.database import Database, DatabaseDriver, DatabaseFeature, Transaction
from capa_core.call import Policy
from capa_core.conformance._database.suite import ALL, INSERT, Connect, Held, Suite, make_tables
from capa_core.errors import CapaError, InvalidArgumentError, PermissionDeniedError, UnavailableError


class _BrokeError(Exception):
    """An error of the caller's own."""


class TransactionPromises(Suite):
    """The promises of `transaction`, `run` and the two engines."""

    # Declared abilities

    def test_declares_every_ability(self, driver: DatabaseDriver[Any]) -> None:
        assert set(DatabaseFeature) == set(driver.features)

    def test_gives_a_reason_for_each_missing_ability(self, driver: DatabaseDriver[Any]) -> None:
        assert [] == [each for each, support in driver.features.items() if not support and not support.note]

    def test_has_every_ability_of_level_0(self, driver: DatabaseDriver[Any]) -> None:
        assert [] == [each for each, support in driver.features.items() if each.level == 0 and not support]

    def test_has_an_address_for_reads_if_declared(self, driver: DatabaseDriver[Any]) -> None:
        has_address = "replica_url" in driver.settings_type.model_fields

        assert has_address == bool(driver.features[DatabaseFeature.REPLICA])

    # All or nothing

    def test_a_transaction_is_committed_at_its_end(self, database: Database) -> None:
        with database.transaction() as transaction:
            transaction.execute(INSERT, {"id": 1, "status": "new"})
            transaction.connection.execute(text(INSERT), {"id": 2, "status": "new"})
            inside = len(transaction.query(ALL))

        assert (2, 2) == (inside, len(database.query(ALL)))

    def test_an_exception_undoes_it(self, database: Database) -> None:
        with pytest.raises(_BrokeError), database.transaction() as transaction:
            transaction.execute(INSERT, {"id": 1, "status": "new"})
            raise _BrokeError

        assert [] == database.query(ALL)

    def test_it_may_be_committed_and_undone_on_the_way(self, database: Database) -> None:
        with database.transaction() as transaction:
            transaction.execute(INSERT, {"id": 1, "status": "committed"})
            transaction.commit()
            transaction.execute(INSERT, {"id": 2, "status": "undone"})
            transaction.rollback()
            transaction.execute(INSERT, {"id": 3, "status": "committed"})

        assert [1, 3] == [row["id"] for row in database.query(ALL)]

    def test_what_is_closed_without_a_commit_is_undone(self, database: Database) -> None:
        transaction = database.transaction()
        transaction.execute(INSERT, {"id": 1, "status": "new"})
        transaction.close()
        transaction.close()

        assert [] == database.query(ALL)

    def test_a_part_may_be_undone_alone(self, database: Database) -> None:
        with database.transaction() as transaction:
            transaction.execute(INSERT, {"id": 1, "status": "new"})
            with pytest.raises(exc.IntegrityError), transaction.connection.begin_nested():
                transaction.execute(INSERT, {"id": 2, "status": "new"})
                transaction.execute(INSERT, {"id": 1, "status": "new"})

        assert [1] == [row["id"] for row in database.query(ALL)]

    def test_code_on_the_engine_commits_too(self, database: Database) -> None:
        with database.engine.begin() as connection:
            connection.execute(text(INSERT), {"id": 1, "status": "new"})
        autocommit = database.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        with autocommit as connection:
            connection.execute(text(INSERT), {"id": 2, "status": "new"})
            seen = len(database.query(ALL))
        database.execute(INSERT, {"id": 3, "status": "new"})

        assert (2, 3) == (seen, len(database.query(ALL)))

    # Run

    def test_run_commits_and_returns_the_result(self, database: Database) -> None:
        assert 1 == database.run(lambda one: one.execute(INSERT, {"id": 1, "status": "new"}))
        assert 1 == len(database.query(ALL))

    def test_run_undoes_what_failed(self, database: Database) -> None:
        def fail(transaction: Transaction) -> None:
            transaction.execute(INSERT, {"id": 1, "status": "new"})
            raise _BrokeError

        with pytest.raises(_BrokeError):
            database.run(fail)

        assert [] == database.query(ALL)

    def test_run_repeats_what_was_undone(self, database: Database) -> None:
        tries = []

        def once_lost(transaction: Transaction) -> int:
            tries.append(transaction)
            transaction.execute(INSERT, {"id": 1, "status": "new"})
            if len(tries) == 1:
                raise UnavailableError("a deadlock")
            return len(tries)

        assert 2 == database.run(once_lost)
        assert 1 == len(database.query(ALL))

    def test_run_refuses_what_cannot_be_called(self, database: Database) -> None:
        async def later(transaction: Transaction) -> None: ...

        functions: tuple[Any, ...] = (later, None)
        for function in functions:
            with pytest.raises(InvalidArgumentError):
                database.run(function)

    # Reads apart from writes

    def test_a_transaction_that_only_reads_refuses_writes(self, database: Database) -> None:
        with (
            pytest.raises(PermissionDeniedError, match="only reads"),
            database.transaction(read_only=True) as transaction,
        ):
            assert [] == transaction.query(ALL)
            transaction.execute(INSERT, {"id": 1, "status": "new"})
        with pytest.raises(exc.DBAPIError) as raised, database.reading_engine.begin() as connection:
            connection.execute(text(INSERT), {"id": 1, "status": "new"})

        assert isinstance(raised.value, PermissionDeniedError)
        assert [] == database.query(ALL)

    def test_reading_without_a_transaction_refuses_writes_too(self, database: Database) -> None:
        autocommit = database.reading_engine.execution_options(isolation_level="AUTOCOMMIT")
        with pytest.raises(PermissionDeniedError, match="only reads"), autocommit.connect() as connection:
            connection.execute(text(INSERT), {"id": 1, "status": "new"})

        assert [] == database.query(ALL)

    def test_transactions_that_write_different_rows_do_not_wait_if_declared(self, connect: Connect) -> None:
        with Database(connect(timeout_s=30)) as database:
            make_tables(database)
            with Held(database, 1):
                try:
                    with database.transaction(deadline=2) as transaction:
                        transaction.execute(INSERT, {"id": 2, "status": "new"})
                    side_by_side = True
                except UnavailableError:
                    side_by_side = False

            declared = bool(database.features[DatabaseFeature.CONCURRENT_WRITES])
            assert declared == side_by_side
            assert (2 if declared else 1) == len(database.query(ALL))

    def test_a_writer_does_not_keep_readers_waiting_if_declared(self, connect: Connect) -> None:
        with Database(connect(timeout_s=30), policy=Policy(retries=0)) as database:
            make_tables(database)
            with Held(database):
                try:
                    side_by_side = database.query(ALL, deadline=2) == []
                except UnavailableError:
                    side_by_side = False

            assert bool(database.features[DatabaseFeature.CONCURRENT_READS]) == side_by_side
            assert 1 == len(database.query(ALL))

    def test_a_writer_that_waits_gets_its_turn(self, database: Database) -> None:
        failures: list[CapaError] = []

        def add(first: int) -> None:
            try:
                for ident in range(first, first + 5):
                    with database.transaction() as transaction:
                        found = transaction.query("SELECT count(*) AS found FROM orders")
                        transaction.execute(INSERT, {"id": ident, "status": str(found)})
            except CapaError as error:
                failures.append(error)

        threads = [threading.Thread(target=add, args=(10 * number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [] == failures
        assert 20 == len(database.query(ALL))
