"""Databases on PostgreSQL: credentials that rotate, a replica for reads, and servers that fail."""

import os
import resource
import tempfile
import threading
import time
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from servers._process import free_port
from servers.postgres import PostgresServer, unprivileged
from tcp_proxy import TcpProxy

from capa_core import Runtime
from capa_core.call.deadline import within
from capa_core.components.postgres._errors import OverdueError
from capa_core.components.postgres._timed import TimedConnection
from capa_core.conformance._processes import Child
from capa_core.conformance._tolerance import SLOW_MACHINE_S, wait_until
from capa_core.errors import DeadlineError, PermissionDeniedError, UnavailableError, UnsupportedError

pytestmark = pytest.mark.server("postgres")

_HBA = """
host all capa 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
"""
PID = "SELECT pg_backend_pid() AS pid"


@pytest.fixture(scope="module")
def server():
    """A server that asks everybody but `capa` for a password."""
    with tempfile.TemporaryDirectory(
        prefix="hba-"
    ) as name:  # each run of pytest closes the folders of all others
        folder = Path(name)
        unprivileged(folder)
        hba = folder / "pg_hba.conf"
        hba.write_text(_HBA)
        hba.chmod(0o644)
        with PostgresServer.started(fsync="off", hba_file=str(hba)) as server:
            yield server
            server.kill()  # it keeps nothing that matters


@pytest.fixture
def admin(server):
    with psycopg.connect(server.url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def start(tmp_path):
    """Give a function that starts a runtime with the database `orders`; its keywords are settings."""
    opened = []

    def started(**settings):
        tables = {"driver": "postgres", "retries": 0} | settings
        secrets = {"default": {"driver": "file", "environment": False}}
        runtime = Runtime({"database": {"orders": tables}, "secrets": secrets}, start=tmp_path, environ={})
        opened.append(runtime)
        return runtime.database("orders")

    yield started
    for runtime in opened:
        runtime.close()


def at(port, user="capa", database="postgres"):
    return f"postgresql://{user}@127.0.0.1:{port}/{database}"


def database_of(admin, name):
    """Make the database *name* with a table that has its name."""
    admin.execute(f"DROP DATABASE IF EXISTS {name}")
    admin.execute(f"CREATE DATABASE {name}")
    with psycopg.connect(host="127.0.0.1", port=admin.info.port, user="capa", dbname=name) as connection:
        connection.execute(f"CREATE TABLE places AS SELECT '{name}' AS name")


# Credentials


def test_a_wrong_password_is_refused_with_the_next_step(server, admin, start):
    admin.execute("DROP ROLE IF EXISTS wrong")
    admin.execute("CREATE ROLE wrong LOGIN PASSWORD 'right'")
    database = start(url=at(server.port, "wrong"), password="guess-1234")
    with pytest.raises(PermissionDeniedError) as raised:
        database.query("SELECT 1")
    text = str(raised.value)

    assert isinstance(raised.value, sa.exc.OperationalError)
    assert "database 'orders'" in text
    assert "password authentication failed" in text
    assert "capa doctor" in text
    assert "guess-1234" not in text


def test_a_rotated_password_is_used_by_the_next_connection(server, admin, start, tmp_path):
    """A connection that is open stays so; one that is opened with the old password is refused."""
    admin.execute("DROP ROLE IF EXISTS rotated")
    admin.execute("CREATE ROLE rotated LOGIN PASSWORD 'old-1'")
    secret = tmp_path / "secrets" / "orders" / "password"
    secret.parent.mkdir(parents=True)
    secret.write_text("old-1")
    database = start(url=at(server.port, "rotated"), password="${secret:orders#password}")
    with database.transaction() as transaction:
        pid = transaction.query(PID)
        admin.execute("ALTER ROLE rotated PASSWORD 'new-2'")
        with pytest.raises(PermissionDeniedError):
            database.transaction()
        secret.write_text("new-2")
        with database.transaction() as other:
            other_pid = other.query(PID)

        assert pid == transaction.query(PID) != other_pid


def test_a_password_that_is_rotated_while_a_connection_is_opened_is_read_again(server, admin):
    from capa_core.components.postgres.database import PostgresDatabase
    from capa_core.secret import FreshSecret, Secret

    admin.execute("DROP ROLE IF EXISTS raced")
    admin.execute("CREATE ROLE raced LOGIN PASSWORD 'new-2'")
    texts = iter(["old-1", "new-2"])
    settings = {
        "url": at(server.port, "raced"),
        "password": FreshSecret(lambda: Secret(next(texts))),
    }
    driver = PostgresDatabase(PostgresDatabase.settings_type(**settings))
    with driver.engine(read_only=False).connect() as connection:
        user = connection.exec_driver_sql("SELECT current_user").scalar_one()
    driver.close()

    assert "raced" == user


def test_the_user_may_be_a_secret_too(server, admin, start, tmp_path):
    admin.execute("DROP ROLE IF EXISTS alternate")
    admin.execute("CREATE ROLE alternate LOGIN PASSWORD 'pw'")
    folder = tmp_path / "secrets" / "orders"
    folder.mkdir(parents=True)
    (folder / "user").write_text("alternate")
    (folder / "password").write_text("pw")
    database = start(url=at(server.port), user="${secret:orders#user}", password="${secret:orders#password}")

    assert [{"name": "alternate"}] == database.query("SELECT current_user::text AS name")


# Reads apart from writes


def test_reads_go_to_the_replica_and_a_transaction_stays_where_it_began(server, admin, start):
    database_of(admin, "main_1")
    database_of(admin, "replica_1")
    database = start(
        url=at(server.port, database="main_1"), replica_url=at(server.port, database="replica_1")
    )
    with database.transaction() as transaction:
        transaction.execute("INSERT INTO places VALUES ('written')")
        within_it = {row["name"] for row in transaction.query("SELECT name FROM places")}
    addresses = {pool.read_only: pool.address.rpartition("/")[2] for pool in database.inspect()}

    assert {"main_1", "written"} == within_it
    assert [{"name": "replica_1"}] == database.query("SELECT name FROM places")
    assert {False: "main_1"} == addresses
    assert {"main_1", "replica_1"} == {pool.address.rpartition("/")[2] for pool in database.inspect()}


def test_a_server_that_only_reads_is_refused_for_writes(server, admin, start):
    database_of(admin, "standby_1")
    admin.execute("ALTER DATABASE standby_1 SET default_transaction_read_only = on")
    url = at(server.port, database="standby_1")
    database = start(url=url, replica_url=url)

    assert [{"name": "standby_1"}] == database.query("SELECT name FROM places")
    with pytest.raises(UnavailableError, match=r"database 'orders' \(postgresql://.*read-only"):
        database.execute("INSERT INTO places VALUES ('x')")


def test_a_reading_connection_refuses_writes_after_options_of_sqlalchemy_were_undone(server, admin, start):
    database_of(admin, "readonly_1")
    database = start(url=at(server.port, database="readonly_1"))
    with database.reading_engine.connect().execution_options(postgresql_readonly=True) as connection:
        pid = connection.exec_driver_sql(PID).scalar_one()
    with database.reading_engine.connect() as connection:
        same = connection.exec_driver_sql(PID).scalar_one()
        with pytest.raises(PermissionDeniedError):
            connection.exec_driver_sql("INSERT INTO places VALUES ('written')")

    assert pid == same
    assert [{"name": "readonly_1"}] == database.query("SELECT name FROM places")


def test_reading_without_a_transaction_behind_a_pooler_is_refused(server, start):
    database = start(url=at(server.port), pooler=True)
    autocommit = database.reading_engine.execution_options(isolation_level="AUTOCOMMIT")
    with pytest.raises(UnsupportedError, match="behind a pooler"), autocommit.connect() as connection:
        connection.exec_driver_sql("SELECT 1")

    assert 1 == len(database.query("SELECT 1"))


def test_a_connection_to_a_server_that_has_become_a_standby_is_replaced(server, admin, start):
    database_of(admin, "demoted_1")
    database = start(url=at(server.port, database="demoted_1"))
    database.execute("SET default_transaction_read_only = on")
    with pytest.raises(UnavailableError) as raised:
        database.execute("INSERT INTO places VALUES ('x')")

    assert raised.value.connection_invalidated
    assert 1 == database.execute("INSERT INTO places VALUES ('x')")


def test_a_transaction_that_was_asked_to_only_read_keeps_its_connection(server, admin, start):
    database_of(admin, "asked_1")
    database = start(url=at(server.port, database="asked_1"))
    reading = database.engine.execution_options(postgresql_readonly=True)
    with pytest.raises(UnavailableError) as raised, reading.connect() as connection:
        connection.exec_driver_sql("INSERT INTO places VALUES ('x')")

    assert not raised.value.connection_invalidated


# Calls of the library itself


def test_rows_that_are_read_from_the_server_one_by_one_may_take_longer_than_the_statement(server, start):
    database = start(url=at(server.port))
    with database.transaction(read_only=True, deadline=1) as transaction:
        options = {"yield_per": 1}
        rows = transaction.connection.execute(
            sa.text("SELECT generate_series(1, 3)"), execution_options=options
        )
        found = [next(rows)[0]]
        time.sleep(1.6)
        found.extend(row[0] for row in rows)

    assert [1, 2, 3] == found


def test_the_library_s_own_connection_has_the_time_of_a_statement(server, start):
    database = start(url=at(server.port), timeout_s=2)
    database.execute("SELECT 1")
    time.sleep(2.1)
    connection = database.engine.raw_connection()
    cursor = connection.cursor()
    cursor.execute("SELECT pg_sleep(0.1)")
    found = len(cursor.fetchall())
    connection.close()

    assert 1 == found


# Servers that fail


def test_a_server_that_is_down_is_met_at_the_first_use(start):
    port = free_port()
    database = start(url=at(port))
    engine, address = database.engine, database.address
    with pytest.raises(UnavailableError) as raised:
        database.query("SELECT 1")

    assert ("postgresql", f"postgresql://127.0.0.1:{port}/postgres") == (engine.dialect.name, address)
    assert isinstance(raised.value, sa.exc.OperationalError)
    assert f"database 'orders' ({address}): connecting failed" in str(raised.value)
    assert "capa doctor" in str(raised.value)


def test_a_connection_cut_in_a_transaction_commits_nothing(server, admin, start):
    database_of(admin, "cut_1")
    with TcpProxy.to(server.port) as proxy:
        database = start(url=at(proxy.port, database="cut_1"))

        def cut(transaction):
            transaction.execute("INSERT INTO places VALUES ('lost')")
            proxy.cut()
            transaction.execute("INSERT INTO places VALUES ('lost too')")

        with pytest.raises(UnavailableError) as raised:
            database.run(cut)

        assert isinstance(raised.value, sa.exc.DBAPIError)
        assert raised.value.connection_invalidated
        assert 1 == database.execute("INSERT INTO places VALUES ('kept')")
        assert ["cut_1", "kept"] == [
            row["name"] for row in database.query("SELECT name FROM places ORDER BY 1")
        ]


def test_connections_that_died_while_they_were_idle_are_replaced(server, start):
    with TcpProxy.to(server.port) as proxy:
        database = start(url=at(proxy.port), retries=3)
        before = database.query(PID)
        proxy.cut()

        assert before != database.query(PID)


def test_a_silent_server_misses_the_deadline_and_the_next_call_works(server, start):
    with TcpProxy.to(server.port) as proxy:
        database = start(url=at(proxy.port), statement_s=0.5, timeout_s=5)
        database.query("SELECT 1")
        proxy.go_silent()
        began = time.monotonic()
        with pytest.raises(DeadlineError):
            database.query("SELECT 1")
        took_s = time.monotonic() - began
        proxy.speak()
        proxy.cut()

        assert took_s < 2 + SLOW_MACHINE_S
        assert 1 == len(database.query("SELECT 1"))


def test_callers_wait_side_by_side_for_a_server_that_is_silent(server, start):
    with TcpProxy.to(server.port) as proxy:
        proxy.go_silent()
        database = start(url=at(proxy.port), timeout_s=2)

        def try_to_read():
            with pytest.raises(DeadlineError):
                database.query("SELECT 1")

        began = time.monotonic()
        threads = [threading.Thread(target=try_to_read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert time.monotonic() - began < 2 + SLOW_MACHINE_S


def test_connecting_ends_with_the_time_of_the_caller(server, start):
    with TcpProxy.to(server.port) as proxy:
        proxy.go_silent()
        database = start(url=at(proxy.port), timeout_s=60)
        began = time.monotonic()
        with within(0.3), pytest.raises(DeadlineError):
            database.query("SELECT 1")

        assert time.monotonic() - began < 1 + SLOW_MACHINE_S


def test_a_silent_server_is_not_long_asked_to_cancel(server):
    with TcpProxy.to(server.port) as proxy, TimedConnection.connect(at(proxy.port)) as connection:
        connection.limit_s = 300.0  # of which the statement has used up most
        connection.begin(0.3)
        proxy.go_silent()
        began = time.monotonic()
        with pytest.raises(OverdueError):
            connection.execute("SELECT 1")

        assert time.monotonic() - began < 1 + SLOW_MACHINE_S


def test_a_process_with_many_open_files_has_connections(server, start):
    def child():
        resource.setrlimit(resource.RLIMIT_NOFILE, (2048, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
        found = start(url=at(server.port)).query("SELECT 1")
        return len(files), len(found)

    assert (1100, 1) == Child(child).result()


def test_a_statement_that_the_server_ends_keeps_its_connection(server, start):
    database = start(url=at(server.port))
    before = database.query(PID)
    with pytest.raises(DeadlineError, match="within 0.2 s"):
        database.query("SELECT pg_sleep(60)", deadline=0.2)

    assert before == database.query(PID)


def test_a_statement_that_its_caller_gives_up_ends_on_the_server_too(server, admin, start):
    database = start(url=at(server.port))
    with within(0.3), pytest.raises(DeadlineError):
        database.query("SELECT pg_sleep(61)")

    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(61)%' AND state = 'active'"
    wait_until(lambda: admin.execute(f"{running} AND pid <> pg_backend_pid()").fetchone() == (0,))


def test_a_deadlock_is_repeated_by_run(server, admin, start):
    database_of(admin, "deadlock_1")
    admin.execute("ALTER DATABASE deadlock_1 SET deadlock_timeout = '50ms'")
    database = start(url=at(server.port, database="deadlock_1"), retries=3)
    database.execute("CREATE TABLE stock (id INTEGER PRIMARY KEY, count INTEGER)")
    database.execute("INSERT INTO stock VALUES (1, 0), (2, 0)")
    both = threading.Barrier(2)
    tries = []

    def take(first, second):
        def work(transaction):
            tries.append(first)
            transaction.execute("UPDATE stock SET count = count + 1 WHERE id = :id", {"id": first})
            if tries.count(first) == 1:
                both.wait(30)
            transaction.execute("UPDATE stock SET count = count + 1 WHERE id = :id", {"id": second})

        database.run(work)

    threads = [threading.Thread(target=take, args=ids) for ids in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 3 <= len(tries)
    assert [2, 2] == [row["count"] for row in database.query("SELECT count FROM stock")]


def test_risks_of_the_server_are_told(server, start):
    assert ["a power cut"] == [risk.event for risk in start(url=at(server.port)).risks()]


def test_ping_tells_the_version(server, start):
    database = start(url=at(server.port))

    assert database.ping().startswith("PostgreSQL ")
    assert database.ping().endswith(f" at postgresql://127.0.0.1:{server.port}/postgres")
