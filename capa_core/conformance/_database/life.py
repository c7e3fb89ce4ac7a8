"""Life: several processes, forks, what lasts, and closing."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import Engine, event

from capa_core.blocks.database import Database, DatabaseDriver, DatabaseFeature
from capa_core.conformance._database.suite import ALL, INSERT, Connect, Held, Suite, make_tables
from capa_core.conformance._processes import Child, in_children
from capa_core.errors import CapaError, ClosedError, UnavailableError


class _NotPreparedError(Exception):
    """An error of a listener of the caller's own."""


class LifePromises(Suite):
    """The promises of processes, forks and closing."""

    def test_the_engine_is_the_same_each_time(self, database: Database) -> None:
        assert database.engine is database.engine is database.native(Engine)
        assert database.engine is not database.reading_engine

    def test_ping_describes_the_engine_with_its_version(self, database: Database) -> None:
        assert any(character.isdigit() for character in database.ping().partition(" at ")[0])

    # Sharing

    def test_what_was_committed_lasts_if_declared(self, connect: Connect) -> None:
        with Database(connect()) as first:
            make_tables(first)
            first.execute(INSERT, {"id": 1, "status": "new"})
            lasts = bool(first.features[DatabaseFeature.DURABLE] or first.features[DatabaseFeature.SHARED])
        with Database(connect()) as second:
            tables = second.run(lambda one: _tables(one.connection))

            assert lasts == ("orders" in tables)

    def test_processes_see_each_other_s_rows_if_declared(self, connect: Connect, database: Database) -> None:
        def work(number: int) -> None:
            with Database(connect()) as mine:
                if "orders" in mine.run(lambda one: _tables(one.connection)):
                    mine.execute(INSERT, {"id": number, "status": "new"})

        in_children(3, work)

        assert bool(database.features[DatabaseFeature.SHARED]) == (3 == len(database.query(ALL)))

    # Forks

    def test_parent_and_child_go_on_after_a_fork(self, database: Database) -> None:
        """On connections of their own, also through an engine from before the fork."""
        database.execute(INSERT, {"id": 1, "status": "new"})
        engine = database.engine

        def child(number: int) -> tuple[int, int]:
            database.forget()
            database.execute(INSERT, {"id": 10 + number, "status": "child"})
            with engine.connect() as connection:
                rows = connection.exec_driver_sql("SELECT count(*) FROM orders WHERE id < 10").scalar_one()
            return rows, len(database.query("SELECT 1"))

        children = in_children(2, child)

        shared = bool(database.features[DatabaseFeature.SHARED])
        assert [(1, 1), (1, 1)] == children
        assert (3 if shared else 1) == len(database.query(ALL))

    def test_a_child_does_not_use_the_transaction_of_its_parent(self, database: Database) -> None:
        def child() -> str:
            database.forget()
            try:
                with transaction:
                    transaction.execute(INSERT, {"id": 2, "status": "child"})
            except UnavailableError as error:
                return str(error)
            return ""

        with database.transaction() as transaction:
            transaction.execute(INSERT, {"id": 1, "status": "parent"})
            answer = Child(child).result()
            transaction.execute(INSERT, {"id": 3, "status": "parent"})

        assert "before a fork" in answer
        assert [1, 3] == [row["id"] for row in database.query(ALL)]

    def test_a_fork_leaves_the_transaction_of_another_thread_alone(self, database: Database) -> None:
        with Held(database) as held:
            threading.Timer(0.2, held.end).start()

            def child() -> int:
                database.forget()
                return len(database.query("SELECT 1"))

            assert 1 == Child(child).result()
            held.end()

        assert held.error is None
        assert [1] == [row["id"] for row in database.query(ALL)]

    def test_a_fork_goes_well_after_a_connection_that_was_not_prepared(self, database: Database) -> None:
        def refuse(*_: Any) -> None:
            raise _NotPreparedError

        event.listen(database.engine, "connect", refuse)
        with database.engine.connect(), pytest.raises(_NotPreparedError):
            database.engine.connect()
        event.remove(database.engine, "connect", refuse)

        def child() -> int:
            database.forget()
            return len(database.query("SELECT 1"))

        assert 1 == Child(child).result()

    # Closing

    def test_calls_after_close_raise(self, driver: DatabaseDriver[Any]) -> None:
        database = Database(driver)
        engine = database.engine
        database.query("SELECT 1")
        database.close()
        database.close()

        for call in (
            lambda: database.query("SELECT 1"),
            lambda: database.execute("SELECT 1"),
            database.transaction,
            database.ping,
            database.inspect,
            lambda: database.engine,
            engine.connect,
        ):
            with pytest.raises(ClosedError):
                call()

    def test_a_connection_that_is_given_back_during_close_is_closed(self, connect: Connect) -> None:
        database = Database(connect())
        opened: dict[int, Any] = {}
        event.listen(database.engine, "connect", lambda one, _: opened.update({id(one): one}))
        event.listen(database.engine, "close", lambda one, _: opened.pop(id(one), None))
        event.listen(database.engine, "checkin", lambda *_: database.close())

        with database.engine.connect():
            assert 1 == len(opened)

        assert {} == opened

    def test_a_transaction_ends_well_while_the_component_is_closed(self, connect: Connect) -> None:
        with Database(connect()) as other:
            make_tables(other)
            database = Database(connect()) if other.features[DatabaseFeature.SHARED] else other
            opened: dict[int, Any] = {}
            event.listen(database.engine, "connect", lambda one, _: opened.update({id(one): one}))
            event.listen(database.engine, "close", lambda one, _: opened.pop(id(one), None))
            with Held(database) as held:
                database.close()
                held.end()

            assert held.error is None or isinstance(held.error, CapaError)
            assert {} == opened
            if other is not database:
                assert (held.error is None) == (1 == len(other.query(ALL)))


def _tables(connection: Any) -> list[str]:
    from sqlalchemy import inspect

    found: list[str] = inspect(connection).get_table_names()
    return found
