"""The block `database` over a runtime: names, the SQLite file, forks, and its troubles; see the suite for the rest."""

import asyncio
import contextlib
import os
import sqlite3
import stat
import threading
import time

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from capa_core import Runtime, aio
from capa_core.blocks.database.over_sqlite import NativeConnection
from capa_core.conformance._processes import Child
from capa_core.errors import (
    ClosedError,
    DataLossError,
    PermissionDeniedError,
    SettingsError,
    UnavailableError,
    UnsupportedError,
)

SLOW_LOCK = {"driver": "sqlite", "timeout_s": 0.3}


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    status: Mapped[str]


@pytest.fixture
def start(tmp_path):
    return lambda **tables: Runtime({"database": tables} if tables else None, start=tmp_path, environ={})


def test_without_configuration_there_is_one_file_for_all_names(start, tmp_path):
    with start() as runtime:
        runtime.database("orders").execute("CREATE TABLE t (id INTEGER)")

        assert [] == runtime.database("invoices").query("SELECT * FROM t")
        assert runtime.database("invoices") is runtime.database()
        assert f"SQLite in {tmp_path}/.capa/database/" == runtime.database().place
    assert (tmp_path / ".capa" / "database" / "default.db").is_file()


def test_a_name_with_a_table_has_a_file_of_its_own(start, tmp_path):
    tables = {"orders": {"driver": "sqlite"}, "../a/b": {"driver": "sqlite"}}
    with start(**tables) as runtime:
        for name in tables:
            runtime.database(name).execute("CREATE TABLE t (id INTEGER)")
    files = {path.name for path in (tmp_path / ".capa" / "database").glob("*.db")}

    assert {"orders.db", "..%2Fa%2Fb.db"} == files


def test_looking_at_a_component_leaves_no_trace(start, tmp_path):
    with start() as runtime:
        engine = runtime.database("orders").engine

        assert runtime.database("orders").ping().startswith("SQLite ")
        assert ("sqlite", "pysqlite") == (engine.dialect.name, engine.driver)
        assert [] == list(tmp_path.iterdir())


def test_the_file_is_for_its_owner_alone_and_durable(start, tmp_path):
    with start() as runtime:
        runtime.database().execute("CREATE TABLE t (id INTEGER)")
        settings = {
            name: runtime.database().query(f"PRAGMA {name}")[0][name]
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode)
            for path in (tmp_path / ".capa" / "database").iterdir()
        }

    assert {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1} == settings
    assert {"default.db": 0o600, "default.db-wal": 0o600, "default.db-shm": 0o600} == modes


def test_sessions_of_the_orm_work(start):
    with start() as runtime:
        database = runtime.database("orders")
        Base.metadata.create_all(database.engine)
        with Session(database.engine) as session, session.begin():
            session.add(Order(id=1, status="new"))
        with pytest.raises(sa.exc.IntegrityError), Session(database.engine) as session, session.begin():
            session.add(Order(id=1, status="twice"))
        with database.transaction() as transaction, Session(bind=transaction.connection) as session:
            session.get_one(Order, 1).status = "paid"
            session.flush()
        with Session(database.reading_engine) as session:
            assert ["paid"] == session.scalars(sa.select(Order.status)).all()


def test_async_code_has_transactions(start):
    async def main(runtime):
        database = aio.database("orders", runtime=runtime)
        await database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        async with database.transaction() as transaction:
            await transaction.execute("INSERT INTO t VALUES (1)")
        with contextlib.suppress(ZeroDivisionError):
            async with database.transaction() as transaction:
                await transaction.execute("INSERT INTO t VALUES (2)")
                raise ZeroDivisionError
        return await database.query("SELECT id FROM t")

    with start() as runtime:
        assert [{"id": 1}] == asyncio.run(main(runtime))


# Troubles


def test_a_folder_that_cannot_be_made_is_named(start, tmp_path):
    (tmp_path / "file").write_text("")
    with (
        start(default={"driver": "sqlite", "folder": "file"}) as runtime,
        pytest.raises(UnavailableError, match=r"database 'default': connecting failed: .*file.*capa doctor"),
    ):
        runtime.database().query("SELECT 1")


def test_a_folder_without_permission_is_refused(start, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("the superuser may write everywhere")
    (tmp_path / "closed").mkdir(mode=0o500)
    with (
        start(default={"driver": "sqlite", "folder": "closed"}) as runtime,
        pytest.raises(PermissionDeniedError, match="closed"),
    ):
        runtime.database().query("SELECT 1")


def test_a_file_that_is_no_database_is_left_as_it_is(start, tmp_path):
    file = tmp_path / ".capa" / "database" / "default.db"
    file.parent.mkdir(parents=True)
    file.write_text("something else, and long enough to be read as the header of a file" * 20)
    before = file.read_bytes()
    with start() as runtime, pytest.raises(DataLossError) as raised:
        runtime.database().execute("CREATE TABLE t (id INTEGER)")

    assert isinstance(raised.value, sa.exc.DatabaseError)
    assert before == file.read_bytes()


def test_a_file_that_another_program_locks_is_waited_for(start, tmp_path):
    with start(default=SLOW_LOCK) as runtime:
        database = runtime.database()
        database.execute("CREATE TABLE t (id INTEGER)")
        other = sqlite3.connect(tmp_path / ".capa" / "database" / "default.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="locked"), database.transaction():
            pass
        assert [] == database.query("SELECT * FROM t")
        other.execute("COMMIT")
        other.close()
        database.execute("INSERT INTO t VALUES (1)")

        assert 1 == len(database.query("SELECT * FROM t"))


def test_a_child_forked_in_a_transaction_does_not_open_the_file(start):
    """Its copy of SQLite would assume that it holds the parent's locks."""
    with start() as runtime:
        database = runtime.database()
        database.execute("CREATE TABLE t (id INTEGER)")

        def child():
            with pytest.raises(UnavailableError, match="forked in a transaction"):
                database.query("SELECT 1")
            return True

        with database.transaction() as transaction:
            transaction.execute("INSERT INTO t VALUES (1)")
            assert Child(child).result()

        assert 1 == len(database.query("SELECT * FROM t"))
        assert Child(lambda: len(database.query("SELECT * FROM t"))).result()


def test_forks_between_the_transactions_of_other_threads_lose_none(start):
    with start() as runtime:
        database = runtime.database()
        database.execute("CREATE TABLE t (id INTEGER PRIMARY KEY)")
        ended = threading.Event()
        added = []

        def add():
            while not ended.is_set():
                database.execute("INSERT INTO t VALUES (:id)", {"id": len(added)})
                added.append(len(added))

        thread = threading.Thread(target=add)
        thread.start()
        try:
            counts = [
                Child(lambda: database.query("SELECT count(*) AS found FROM t")[0]["found"]).result()
                for _ in range(5)
            ]
        finally:
            ended.set()
            thread.join()

        assert sorted(counts) == counts
        assert len(added) == database.query("SELECT count(*) AS found FROM t")[0]["found"] >= counts[-1]


def test_a_fork_waits_until_a_connection_is_closed(start, monkeypatch):
    """Not only until it is about to be: SQLite takes and gives back locks while it closes a connection."""
    closing, closed = threading.Event(), []
    close = NativeConnection.close

    def close_slowly(connection):
        if threading.current_thread() is other:
            closing.set()
            time.sleep(0.3)
            close(connection)
            closed.append(connection)
        else:
            close(connection)

    with start() as runtime:
        database = runtime.database()
        database.execute("CREATE TABLE t (id INTEGER)")
        database.engine.dispose()

        def use():
            with database.engine.connect() as connection:
                connection.invalidate()

        other = threading.Thread(target=use)
        monkeypatch.setattr(NativeConnection, "close", close_slowly)
        other.start()
        assert closing.wait(30)

        assert 1 == Child(lambda: len(closed)).result()
        other.join()


def test_a_closed_runtime_closes_the_engines(start):
    with start() as runtime:
        engine = runtime.database().engine
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
    with pytest.raises(ClosedError, match="Open it again through a runtime"):
        engine.connect()


def test_a_missing_secret_names_the_setting(tmp_path):
    settings = {
        "database": {
            "orders": {
                "driver": "postgres",
                "url": "postgresql://127.0.0.1:1/orders",
                "password": "${secret:orders#password}",
            }
        },
        "secrets": {"default": {"driver": "memory"}},
    }
    with Runtime(settings, start=tmp_path, environ={}) as runtime:
        database = runtime.database("orders")
        with pytest.raises(SettingsError, match=r"code: database.orders.password: .*no secret 'orders'"):
            database.query("SELECT 1")


def test_requirements_are_checked_without_connecting(start):
    with start() as runtime:
        runtime.require({"database": ["transaction", "durable"]})
        with pytest.raises(UnsupportedError, match="concurrent writes"):
            runtime.require({"database": ["concurrent writes"]})
