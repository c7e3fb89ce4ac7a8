"""PostgreSQL killed, cut off, silent, its tables dropped: typed errors in time, and nothing is lost."""

import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from reliability.programs.capa import open_pubsub
from servers._process import ServerProcess, answers, free_port
from servers._program import Program
from servers.postgres import unprivileged
from tcp_proxy import TcpProxy

from capa_core import Runtime
from capa_core.blocks.pubsub import PubSub
from capa_core.call import Policy
from capa_core.components.postgres._connection import Connection
from capa_core.components.postgres._database import Database
from capa_core.components.postgres._migrations import made_by
from capa_core.components.postgres.lock import PostgresLock
from capa_core.components.postgres.pubsub import PostgresPubSub
from capa_core.components.postgres.sequencer import PostgresSequencer
from capa_core.components.postgres.state import PostgresState
from capa_core.conformance._tolerance import SLOW_MACHINE_S
from capa_core.errors import (
    DataLossError,
    DeadlineError,
    NotFoundError,
    PermissionDeniedError,
    SettingsError,
    UnavailableError,
)

pytestmark = [pytest.mark.server("postgres"), pytest.mark.timeout(120)]

TIMEOUT_S = 1.5


@pytest.fixture
def settings(postgres_url, postgres_schema):
    return {"url": postgres_url, "schema_name": postgres_schema}


@pytest.fixture
def proxy(postgres_url):
    with TcpProxy.to(port_of(postgres_url)) as proxy:
        yield proxy


def port_of(url):
    return int(url.rpartition(":")[2].partition("/")[0])


def through(proxy, settings):
    """Return *settings* with the address of *proxy*."""
    return {**settings, "url": settings["url"].replace(str(port_of(settings["url"])), str(proxy.port))}


def impatient(settings):
    """Open pub/sub whose calls end within TIMEOUT_S, without a second attempt.

    That is too short for tables and groups, which a patient one has to make before, on a busy machine.
    """
    driver = PostgresPubSub(PostgresPubSub.settings_type(**settings, timeout_s=TIMEOUT_S))
    return PubSub(driver, policy=Policy(deadline_s=TIMEOUT_S, retries=0))


def prepare(settings):
    """Make the tables, the topic `t` and its first group."""
    with open_pubsub("postgres", settings) as patient:
        patient.consumer("t").close()


CALLS = {
    "publish": lambda pubsub, _, __: pubsub.publish("t", b"x"),
    "receive": lambda _, consumer, __: consumer.receive(1, 0.5),
    "ack": lambda _, consumer, messages: consumer.ack(messages),
    "nack": lambda _, consumer, messages: consumer.nack(messages),
    "extend": lambda _, consumer, messages: consumer.extend(messages),
    "depth": lambda pubsub, _, __: pubsub.depth("t"),
    "topics": lambda pubsub, _, __: list(pubsub.topics()),
}


@pytest.mark.parametrize("silence", ["go_silent", "swallow_answers"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_server_that_never_answers_runs_into_the_deadline(proxy, settings, call, silence):
    prepare(settings)
    pubsub = impatient(through(proxy, settings))
    consumer = pubsub.consumer("t")
    pubsub.publish("t", b"x")
    messages = consumer.receive(1)
    getattr(proxy, silence)()
    started = time.monotonic()
    with pytest.raises(DeadlineError):
        call(pubsub, consumer, messages)
    took_s = time.monotonic() - started
    proxy.speak()
    proxy.cut()
    with suppress(DeadlineError):  # it releases messages, for which a busy machine may take longer
        pubsub.close()

    assert took_s < TIMEOUT_S * 1.1 + SLOW_MACHINE_S


def test_a_server_that_is_down_is_unavailable(start_postgres):
    server = start_postgres()
    server.stop()
    pubsub = impatient({"url": server.url})
    with pytest.raises(UnavailableError, match="refused"):
        pubsub.publish("t", b"x")


def test_dropped_tables_are_made_again(settings):
    with open_pubsub("postgres", settings) as pubsub, psycopg.connect(settings["url"]) as other:
        consumer = pubsub.consumer("t", raw=True)
        pubsub.publish("t", b"lost", raw=True)
        other.execute(f'DROP SCHEMA "{settings["schema_name"]}" CASCADE')
        other.commit()
        pubsub.publish("t", b"kept", raw=True)
        joined = pubsub.consumer("t", raw=True).receive(1, 5)

        assert [] == consumer.receive(1, 0)
        assert [b"kept"] == [message.data for message in joined]


@pytest.fixture
def altered(settings):
    """Give a function that makes the tables, and then changes them by a statement about the schema `capa`."""

    def alter(statement):
        with open_pubsub("postgres", settings) as pubsub:
            pubsub.publish("t", b"x", raw=True)
        with psycopg.connect(settings["url"]) as other:
            other.execute(statement.replace("capa.", f'"{settings["schema_name"]}".'))
        return open_pubsub("postgres", settings)

    return alter


def test_tables_of_a_newer_version_are_refused(altered):
    with (
        altered("UPDATE capa.migration SET step = 7") as pubsub,
        pytest.raises(
            SettingsError, match=r"made by a newer Capa \(step 7, and this one knows 4\)\. Upgrade"
        ),
    ):
        pubsub.ping()


@pytest.mark.parametrize(
    ("statement", "part"),
    [
        ("ALTER TABLE capa.message DROP COLUMN attributes", "message.attributes"),
        ("DROP TABLE capa.queue CASCADE", "queue.abandoned_at"),
        ("DROP FUNCTION capa.choose", "choose()"),
    ],
)
def test_tables_that_another_program_altered_are_refused(altered, statement, part):
    with (
        altered(statement) as pubsub,
        pytest.raises(DataLossError, match=rf"altered by another program: {re.escape(part)} is missing"),
    ):
        pubsub.ping()


def test_tables_that_are_altered_under_a_program_are_refused(settings, altered):
    with open_pubsub("postgres", settings) as pubsub:
        pubsub.publish("t", b"x", raw=True)
        altered("ALTER TABLE capa.message DROP COLUMN attributes").close()
        with pytest.raises(DataLossError):
            pubsub.publish("t", b"x", raw=True)
        with pytest.raises(DataLossError, match="message.attributes is missing"):
            pubsub.publish("t", b"x", raw=True)


@pytest.mark.parametrize("driver", [PostgresPubSub, PostgresState, PostgresLock, PostgresSequencer])
def test_all_that_the_steps_make_is_looked_for(settings, driver):
    opened = driver(driver.settings_type(**settings))
    opened.ping()
    with psycopg.connect(settings["url"]) as other:
        columns = other.execute(
            "SELECT table_name || '.' || column_name FROM information_schema.columns"
            " WHERE table_schema = %(name)s AND table_name <> 'migration'"
            " UNION ALL SELECT routine_name || '()' FROM information_schema.routines WHERE routine_schema = %(name)s",
            {"name": settings["schema_name"]},
        ).fetchall()
    opened.close()

    assert {name for (name,) in columns} == made_by(tuple(opened.steps))


@pytest.mark.parametrize("change", ["attributes = 'no JSON'", r"id = '\xff'", r"key = '\xff'"])
def test_rows_of_another_program_are_received_as_far_as_they_can_be_read(settings, change):
    with open_pubsub("postgres", settings) as pubsub, psycopg.connect(settings["url"]) as other:
        consumer = pubsub.consumer("t", raw=True)
        pubsub.publish_many("t", [b"%d" % number for number in range(3)], raw=True)
        table = f'"{settings["schema_name"]}".message'
        other.execute(f"UPDATE {table} SET {change} WHERE data = '1'")
        other.commit()
        seen = [message.data for message in pubsub.peek("t")]
        messages = consumer.receive(10, 5)
        consumer.ack(messages)

        assert [b"0", b"1", b"2"] == seen
        assert {b"0", b"1", b"2"} == {message.data for message in messages}
        assert 0 == pubsub.depth("t")


def test_a_table_that_a_crash_would_empty_is_told(settings):
    with (
        open_pubsub("postgres", settings) as pubsub,
        psycopg.connect(settings["url"], autocommit=True) as other,
    ):
        pubsub.consumer("t").close()
        before = set(map(str, pubsub.risks()))
        table = f"{settings['schema_name']}.message"
        other.execute(f"ALTER TABLE {table} SET UNLOGGED")

        assert {f"a crash of the server loses all rows of {table}. Run ALTER TABLE {table} SET LOGGED."} == (
            set(map(str, pubsub.risks())) - before
        )


def test_a_user_who_may_not_create_the_tables_is_refused(settings):
    with psycopg.connect(settings["url"], autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS visitor")
        owner.execute("CREATE ROLE visitor LOGIN")
    pubsub = impatient({**settings, "url": settings["url"].replace("capa@", "visitor@")})
    with pytest.raises(PermissionDeniedError, match="permission denied for database postgres"):
        pubsub.publish("t", b"x")
    pubsub.close()


@pytest.mark.parametrize(
    ("part", "other", "error", "told"),
    [
        (
            "/postgres",
            "/nowhere",
            NotFoundError,
            'database "nowhere" does not exist. Correct the database in',
        ),
        (
            "capa@",
            "nobody@",
            PermissionDeniedError,
            'role "nobody" does not exist. Correct the user in `url`',
        ),
    ],
)
def test_a_database_or_user_that_does_not_exist_is_named_with_the_next_step(
    settings, part, other, error, told
):
    pubsub = impatient({**settings, "url": settings["url"].replace(part, other)})
    with pytest.raises(error, match=told):
        pubsub.publish("t", b"x")


def test_a_server_that_never_answers_is_named(settings):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        pubsub = impatient({**settings, "url": f"postgresql://me:pw@{place}/x"})
        with pytest.raises(
            DeadlineError, match=rf"PostgreSQL at postgresql://{place}/x did not answer in time"
        ):
            pubsub.publish("t", b"x")


def test_processes_that_begin_at_once_create_the_tables_once(settings):
    opened = [open_pubsub("postgres", settings) for _ in range(8)]
    failures = []

    def publish(pubsub):
        try:
            pubsub.publish("t", b"x", raw=True)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=publish, args=(pubsub,)) for pubsub in opened]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    depth = opened[0].depth("t")
    for pubsub in opened:
        pubsub.close()

    assert ([], 8) == (failures, depth)


@pytest.fixture
def pgbouncer(postgres_url):
    """Start a pooler in transaction mode with one connection to the server, and give its address."""
    program = Program("pgbouncer", "pgbouncer", install="apt-get install pgbouncer").require()
    port = free_port()
    with tempfile.TemporaryDirectory(
        prefix="pgbouncer-"
    ) as name:  # a run of pytest closes the folders of all others
        folder = Path(name)
        (folder / "users").write_text('"capa" ""\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\npostgres = host=127.0.0.1 port={port_of(postgres_url)} dbname=postgres pool_size=1\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\n"
            f"auth_file = {folder / 'users'}\npool_mode = transaction\n"
        )
        user = unprivileged(folder)
        command = [program, str(folder / "pgbouncer.ini")]
        pooler = ServerProcess(command, folder, lambda: answers(port), user=user)
        pooler.start()
        yield f"postgresql://capa@127.0.0.1:{port}/postgres"
        pooler.stop()


@pytest.mark.parametrize("known", [{}, {"pooler": True}], ids=["found out", "set"])
def test_consumers_behind_a_pooler_share_one_connection(settings, pgbouncer, known):
    place = {**settings, "url": pgbouncer, **known}
    with open_pubsub("postgres", place) as here, open_pubsub("postgres", place) as there:
        consumer = here.consumer("t", raw=True)
        timer = threading.Timer(0.3, there.publish, ["t", b"x"], {"raw": True})
        timer.start()
        first = consumer.receive(1, 10)
        timer.join()
        consumer.ack(first)
        for number in range(20):
            (there if number % 2 else here).publish("t", b"%d" % number, raw=True)
        others = consumer.receive(20, 5)
        about = here.ping()

        assert [b"x"] == [message.data for message in first]
        assert {b"%d" % number for number in range(20)} == {message.data for message in others}
        assert about.endswith(", behind a pooler")


def test_the_engines_own_connection_behind_a_pooler_prepares_no_statement(settings, pgbouncer):
    """Several have one connection to the server, where the names of their statements would be the same."""
    place = {**settings, "url": pgbouncer}
    with open_pubsub("postgres", place) as here, open_pubsub("postgres", place) as there:
        natives = [pubsub.native(psycopg.Connection) for pubsub in (here, there)]
        rows = {native.execute("SELECT %s", ["x"]).fetchone() for native in natives * 10}

    assert {("x",)} == rows


def test_a_connection_without_a_pooler_is_not_taken_for_one(settings):
    with open_pubsub("postgres", settings) as pubsub:
        assert "pooler" not in pubsub.ping()


def test_a_publish_that_ran_out_of_time_is_not_done_later(settings):
    """The server would insert its message when the lock is free, beside that of a repeated call."""
    table = f'"{settings["schema_name"]}".message'
    prepare(settings)
    pubsub = impatient(settings)
    consumer = pubsub.consumer("t", raw=True)
    with psycopg.connect(settings["url"]) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        for _ in range(3):
            with pytest.raises(DeadlineError):
                pubsub.publish("t", b"late", raw=True)
        other.rollback()
    pubsub.publish("t", b"in time", raw=True)
    messages = consumer.receive(9, 5)
    pubsub.close()

    assert [b"in time"] == [message.data for message in messages]


def test_an_idle_consumer_asks_the_server_about_once_a_second(settings):
    with open_pubsub("postgres", settings) as pubsub:
        consumer = pubsub.consumer("t", raw=True)
        calls = Counter()
        run = Database.run
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                Database, "run", lambda *args, **values: calls.update(["run"]) or run(*args, **values)
            )
            assert [] == consumer.receive(1, 3)

        assert calls["run"] <= 3 * 4


def test_a_notice_is_sent_once(settings):
    """A listener that passed it on would hear of it again, without end."""
    with open_pubsub("postgres", settings) as pubsub, psycopg.connect(settings["url"]) as other:
        other.execute(f'LISTEN "{settings["schema_name"]}_pubsub"')
        other.commit()
        consumer = pubsub.consumer("t", raw=True)
        assert [] == consumer.receive(1, 0.5)
        pubsub.publish("t", b"x", raw=True)
        notices = [notice.payload for notice in other.notifies(timeout=1)]

        assert ["t"] == notices


def test_no_notice_is_sent_while_nobody_waits(settings):
    with open_pubsub("postgres", settings) as pubsub, psycopg.connect(settings["url"]) as other:
        other.execute(f'LISTEN "{settings["schema_name"]}_pubsub"')
        other.commit()
        pubsub.consumer("t", raw=True).receive(1, 0)
        pubsub.publish("t", b"x", raw=True)
        notices = [notice.payload for notice in other.notifies(timeout=0.5)]

        assert [] == notices


@pytest.mark.parametrize(
    "change",
    [
        "count = 2147483647",
        "published_at = '-infinity'",
        "visible_at = now() - interval '9 years'",
        "urgency = -5",
    ],
)
def test_odd_values_of_another_program_hold_nothing_up(settings, change):
    with open_pubsub("postgres", settings) as pubsub, psycopg.connect(settings["url"]) as other:
        consumer = pubsub.consumer("t", raw=True)
        pubsub.publish_many("t", [b"%d" % number for number in range(3)], raw=True)
        other.execute(f"UPDATE \"{settings['schema_name']}\".message SET {change} WHERE data = '1'")
        other.commit()
        seen = [message.data for message in pubsub.peek("t")]
        depth = pubsub.inspect("t").groups[0].depth
        messages = consumer.receive(10, 5)
        consumer.ack(messages)

        assert ([b"0", b"1", b"2"], 3) == (seen, depth)
        assert {b"0", b"1", b"2"} == {message.data for message in messages}
        assert 0 == pubsub.depth("t")


def test_a_ping_fails_where_the_tables_cannot_be_written(settings):
    schema = settings["schema_name"]
    pubsub = impatient({**settings, "url": settings["url"].replace("capa@", "reader@")})
    with psycopg.connect(settings["url"], autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS reader")
        owner.execute("CREATE ROLE reader LOGIN")
        prepare(settings)
        owner.execute(f'GRANT USAGE ON SCHEMA "{schema}" TO reader')
        owner.execute(f'GRANT SELECT ON ALL TABLES IN SCHEMA "{schema}" TO reader')
        with pytest.raises(PermissionDeniedError, match=f"reader may not write to {schema}"):
            pubsub.ping()
        pubsub.close()
        owner.execute(f'DROP SCHEMA "{schema}" CASCADE')
        owner.execute("DROP ROLE reader")


def test_the_end_of_a_password_is_not_taken_for_a_host():
    table = {"driver": "postgres", "url": "postgresql://me:abc@SECRET@127.0.0.1/shop"}
    with (
        Runtime({"pubsub": {"default": table}}) as runtime,
        pytest.raises(SettingsError, match="this is not an address") as error,
    ):
        runtime.pubsub()

    assert "SECRET" not in str(error.value)


def test_a_fork_leaves_the_connections_of_its_parent_open(settings):
    program = """
import os, sys
from capa_core import Runtime
table = {"driver": "postgres", **__import__("json").loads(sys.argv[1])}
with Runtime({"pubsub": {"default": table}}) as runtime:
    pubsub = runtime.pubsub()
    consumer = pubsub.consumer("t", raw=True)
    pubsub.publish("t", b"before", raw=True)
    pid = os.fork()
    if not pid:
        pubsub.publish("t", b"child", raw=True)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    pubsub.publish("t", b"after", raw=True)
    print(sorted(message.data for message in consumer.receive(9, 5)))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, json.dumps(settings)], capture_output=True, text=True, timeout=60
    )

    assert ("[b'after', b'before', b'child']\n", 0) == (ran.stdout, ran.returncode), ran.stderr


@pytest.mark.parametrize(
    "block", [Connection.transaction, Connection.pipeline], ids=lambda block: block.__name__
)
def test_a_lost_connection_is_an_error_and_no_warning_besides(settings, block, caplog):
    def lose(opened):
        with psycopg.connect(settings["url"], autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [opened.info.backend_pid])
        while True:
            opened.run("SELECT %(number)s::int", number=1)

    opened = Connection.open(PostgresPubSub.settings_type(**settings))
    with pytest.raises(psycopg.OperationalError), block(opened):
        lose(opened)
    opened.close()

    assert [] == [record for record in caplog.records if record.name == "psycopg"]
