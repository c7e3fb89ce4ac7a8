"""SQLite pub/sub beyond the conformance suite: shared commits, file size, forks, upgrades, errors."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from capa_core.blocks.pubsub import Draft, PubSub
from capa_core.blocks.pubsub.driver import OutgoingMessage, PubSubLimits
from capa_core.call import Policy
from capa_core.components.sqlite import _queue, _queue_status
from capa_core.components.sqlite._database import Database
from capa_core.components.sqlite._line import Line
from capa_core.components.sqlite.pubsub import SqlitePubSub, SqlitePubSubSettings
from capa_core.errors import (
    DataLossError,
    DeadlineError,
    ExhaustedError,
    InvalidArgumentError,
    PermissionDeniedError,
)


def open_pubsub(folder, **policy):
    return PubSub(SqlitePubSub(SqlitePubSubSettings(folder=folder)), policy=Policy(**policy))


@pytest.fixture
def pubsub(tmp_path):
    pubsub = open_pubsub(tmp_path)
    yield pubsub
    pubsub.close()


def drain(consumer):
    messages = []
    while batch := consumer.receive(100, 0.1):
        consumer.ack(batch)
        messages += batch
    return [message.data for message in messages]


def test_a_full_disk_is_exhausted_and_nothing_is_lost(pubsub):
    consumer = pubsub.consumer("t", raw=True)
    limit = "PRAGMA max_page_count = 200"
    pubsub._driver.database.write(lambda connection: connection.execute(limit).fetchone())
    stored = list(_stored_until_full(pubsub))
    with pytest.raises(ExhaustedError, match="pubsub.db"):
        pubsub.publish("t", b"x" * 100_000)

    assert 100 < len(stored) < 1_000
    assert stored == drain(consumer)


def _stored_until_full(pubsub):
    for number in range(1_000):
        try:
            pubsub.publish("t", b"%04d" % number * 1_000, raw=True)
        except ExhaustedError:
            return
        yield b"%04d" % number * 1_000


def test_a_file_that_is_not_a_database_is_named_and_left_unchanged(tmp_path):
    file = tmp_path / "pubsub.db"
    file.write_bytes(b"not a database, but somebody's notes" * 100)
    before = file.read_bytes()
    with open_pubsub(tmp_path) as pubsub, pytest.raises(DataLossError, match="pubsub.db"):
        pubsub.publish("t", b"x")

    assert before == file.read_bytes()


def test_a_damaged_file_is_named_and_left_unchanged(tmp_path):
    pubsub = open_pubsub(tmp_path)
    pubsub.publish_many("t", [b"x" * 1_000] * 200, raw=True)
    pubsub.close()
    file = tmp_path / "pubsub.db"
    damaged = bytearray(file.read_bytes())
    damaged[4096 * 2 :] = os.urandom(len(damaged) - 4096 * 2)
    file.write_bytes(damaged)
    with open_pubsub(tmp_path) as pubsub, pytest.raises(DataLossError, match="pubsub.db"):
        pubsub.publish("t", b"x" * 10)

    assert damaged == file.read_bytes()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_permission_denied(tmp_path):
    tmp_path.chmod(0o500)
    with open_pubsub(tmp_path / "below") as pubsub, pytest.raises(PermissionDeniedError):
        pubsub.publish("t", b"x")


def test_concurrent_publishers_share_commits(tmp_path):
    pubsub = open_pubsub(tmp_path)
    pubsub.publish("t", b"x")
    commits = []

    def trace(statement):
        if statement == "COMMIT":
            commits.append(statement)
            time.sleep(0.001)  # as on a disk

    pubsub._driver.database._writer.set_trace_callback(trace)
    together = threading.Barrier(16)

    def publish():
        together.wait()
        for _ in range(20):
            pubsub.publish("t", b"x")

    threads = [threading.Thread(target=publish) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 321 == pubsub.depth("t")
    assert len(commits) < 320 / 4
    pubsub.close()


def test_the_file_stays_small_under_many_messages(pubsub, tmp_path):
    consumer = pubsub.consumer("t", raw=True)
    for _ in range(20):
        pubsub.publish_many("t", [b"x" * 1_000] * 200, raw=True)
        drain(consumer)

    assert (tmp_path / "pubsub.db").stat().st_size < 20 * 200 * 1_000 / 4


def test_unused_space_of_the_file_is_freed(pubsub, tmp_path):
    file = tmp_path / "pubsub.db"
    consumer = pubsub.consumer("t", raw=True)
    pubsub.publish_many("t", [b"x" * 4_000] * 3_000, raw=True)
    drain(consumer)
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    full = file.stat().st_size
    for _ in range(8):
        pubsub._driver._tables._next_tidy = 0.0
        pubsub.purge("t")
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    assert file.stat().st_size < full / 2


def test_expired_messages_are_removed(pubsub, tmp_path):
    pubsub.publish_many("t", [Draft(data=b"x", ttl=0.05)] * 10)
    time.sleep(0.1)
    pubsub._driver._tables._next_tidy = 0.0
    pubsub.purge("other")
    with contextlib.closing(sqlite3.connect(tmp_path / "pubsub.db")) as connection:
        (count,) = connection.execute("SELECT count(*) FROM message").fetchone()

    assert 0 == count


def test_a_forked_child_publishes_and_receives(pubsub):
    consumer = pubsub.consumer("t", raw=True)
    pubsub.publish("t", b"to the child", raw=True)
    child = os.fork()
    if child == 0:
        try:
            pubsub._driver.forget()
            theirs = pubsub.consumer("t", raw=True)
            theirs.ack(theirs.receive(1))
            pubsub.publish("t", b"to the parent", raw=True)
        finally:
            os._exit(0)
    os.waitpid(child, 0)

    assert [b"to the parent"] == drain(consumer)


WAITING = """
import resource, sys
from capa_core import Runtime
consumer = Runtime(start=sys.argv[1], environ={}).pubsub().consumer("t", raw=True)
consumer.receive(1, 0.1)
before = resource.getrusage(resource.RUSAGE_SELF)
consumer.receive(1, 3)
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
"""


def test_a_waiting_consumer_uses_little_cpu(tmp_path):
    # In a process of its own: threads of other tests must not be counted. Other processes do not count.
    done = subprocess.run(
        [sys.executable, "-c", WAITING, tmp_path], capture_output=True, text=True, timeout=30, check=True
    )

    assert float(done.stdout) / 3 < 0.005


VERSION_1 = """
CREATE TABLE queue (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, name TEXT NOT NULL, abandoned_at REAL, UNIQUE (topic, name)
);
CREATE TABLE message (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, queue INTEGER NOT NULL REFERENCES queue (id), visible_at REAL,
    urgency INTEGER NOT NULL, count INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL, expires_at REAL,
    published_at REAL NOT NULL, key TEXT NOT NULL, id TEXT NOT NULL, content_type TEXT NOT NULL,
    attributes TEXT NOT NULL, data BLOB NOT NULL
);
CREATE INDEX message_by_turn ON message (queue, visible_at, urgency, seq);
CREATE INDEX message_by_key ON message (queue, key, seq) WHERE key <> '';
CREATE INDEX message_by_expiry ON message (expires_at) WHERE expires_at IS NOT NULL;
INSERT INTO queue VALUES (1, 't', 'default', NULL), (2, 'other', 'default', NULL);
INSERT INTO message (queue, visible_at, urgency, due, published_at, key, id, content_type, attributes, data)
VALUES (1, 0, 9, 0, 0, '', 'a', 'text/plain', '', CAST('kept' AS BLOB));
PRAGMA user_version = 1;
"""


@pytest.fixture
def version_1(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "pubsub.db")) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(VERSION_1)
        yield connection


def test_a_file_of_the_previous_version_keeps_its_messages(version_1, tmp_path):
    with open_pubsub(tmp_path) as pubsub:
        consumer = pubsub.consumer("t", raw=True)

        assert [b"kept"] == drain(consumer)
        assert 0 == pubsub.depth("other")


def test_a_process_of_the_previous_version_continues(version_1, tmp_path):
    with open_pubsub(tmp_path) as pubsub:
        pubsub.consumer("t", raw=True)
        version_1.execute("INSERT INTO queue (topic, name) VALUES ('t', 'theirs')")
        version_1.commit()
        pubsub.publish("t", b"x", raw=True)

        assert [b"kept", b"x"] == drain(pubsub.consumer("t", raw=True))
        assert [b"x"] == drain(pubsub.consumer("t", "theirs", raw=True))


def test_the_id_of_a_queue_is_never_reused(version_1, tmp_path):
    version_1.execute("INSERT INTO queue (topic, name) VALUES ('t', 'gone')")
    version_1.execute("DELETE FROM queue WHERE name = 'gone'")
    version_1.commit()
    ids = [3]
    with open_pubsub(tmp_path) as pubsub:
        for _ in range(3):
            with pubsub.consumer("t", broadcast=True) as consumer:
                ids.append(consumer._driver._queue)

    assert sorted(set(ids)) == ids


def test_many_processes_upgrade_a_file_concurrently(version_1, tmp_path):
    databases = [Database(tmp_path / "pubsub.db", *_queue.SCHEMA) for _ in range(8)]
    together = threading.Barrier(len(databases))
    first_ids = []

    def join(database):
        together.wait()
        first_ids.append(
            database.write(lambda connection: _queue.join(connection, "t", f"{id(database)}", None))
        )

    threads = [threading.Thread(target=join, args=[database]) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for database in databases:
        database.close()

    assert list(range(1_000_003, 1_000_011)) == sorted(first_ids)


def test_a_consumer_that_joins_anew_logs_its_missed_messages(tmp_path, caplog):
    pubsub = PubSub(SqlitePubSub(SqlitePubSubSettings(folder=tmp_path, abandoned_s=0.1)))
    silent = pubsub.consumer("t", broadcast=True, raw=True)
    time.sleep(0.2)
    pubsub.consumer("t", broadcast=True).close()
    silent.receive(1, 0)
    silent.receive(1, 0)
    pubsub.close()

    assert 1 == sum(
        "misses" in record.message and silent.group in record.message for record in caplog.records
    )


def test_setting_the_clock_ends_no_lease_and_no_delay(tmp_path, monkeypatch):
    driver = SqlitePubSub(SqlitePubSubSettings(folder=tmp_path))
    consumer = driver.consume("t", "g", lease_s=30)
    driver.publish("t", [OutgoingMessage("1", b"leased")])
    driver.publish("t", [OutgoingMessage("2", b"later", delay_s=30)])
    taken = [delivery.data for delivery in consumer.receive(1, 1)]
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 86_400)
    after = consumer.receive(2, 0)
    other = SqlitePubSub(
        SqlitePubSubSettings(folder=tmp_path)
    )  # a process that is started later has the same clock
    from_other = other.consume("t", "g", lease_s=30).receive(2, 0)
    driver.close()
    other.close()

    assert [b"leased"] == taken
    assert ([], []) == (after, from_other)


def test_the_space_of_a_backlog_comes_back_while_its_consumer_waits(tmp_path):
    driver = SqlitePubSub(SqlitePubSubSettings(folder=tmp_path))
    consumer = driver.consume("t", "g", lease_s=30)
    driver.publish("t", [OutgoingMessage(str(number), b"x" * 4_000) for number in range(5_000)])
    full = _bytes_in(tmp_path)
    while deliveries := consumer.receive(1_000, 0):
        consumer.ack([delivery.receipt for delivery in deliveries])
    end = time.monotonic() + 20
    while _bytes_in(tmp_path) > 0.5 * full and time.monotonic() < end:
        consumer.receive(1, 0.1)
    left = _bytes_in(tmp_path)
    driver.close()

    assert left < 0.5 * full


@pytest.mark.parametrize("key", ["", "one"], ids=["ready", "behind one key"])
def test_depth_and_age_do_not_look_at_each_row(tmp_path, key):
    driver = SqlitePubSub(SqlitePubSubSettings(folder=tmp_path))
    driver.consume("t", "g", lease_s=30)
    messages = [OutgoingMessage(str(number), b"x", key=key, priority=number % 10) for number in range(20_000)]
    driver.publish("t", messages)
    time.sleep(0.2)
    driver.publish("t", [OutgoingMessage("later", b"x", priority=9)])
    steps = []
    driver.database.read(
        lambda connection: connection.set_progress_handler(lambda: steps.append(1) and 0, 1_000)
    )
    depth, (group,) = driver.depth("t", "g"), driver.inspect("t").groups
    driver.close()

    assert (20_001, 20_001, True) == (depth, group.depth, len(steps) < 5)
    assert group.oldest_s > 0.2


def test_the_age_is_that_of_the_oldest_message_in_any_state(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=0.0, time=lambda: clock.now)
    monkeypatch.setattr(_queue, "time", clock)
    monkeypatch.setattr(_queue_status, "time", clock)
    driver = SqlitePubSub(SqlitePubSubSettings(folder=tmp_path))
    consumer = driver.consume("t", "g", lease_s=30)

    def publish(second, **fields):
        clock.now = second
        driver.publish("t", [OutgoingMessage("m", b"x", **fields)])

    publish(1, priority=1)
    (leased,) = consumer.receive(1, 1.0)
    publish(2, key="k")
    publish(3, key="k")
    publish(4, delay_s=30)
    clock.now = 10
    ages = [driver.inspect("t").groups[0].oldest_s]
    consumer.ack([leased.receipt])
    for _ in range(3):
        ages.append(driver.inspect("t").groups[0].oldest_s)
        consumer.ack([delivery.receipt for delivery in consumer.receive(1, 0)])
    driver.close()

    assert [10 - second for second in (1, 2, 3, 4)] == ages


def test_a_receive_without_a_turn_to_write_waits_for_one_as_long_as_it_may(tmp_path):
    pubsub = PubSub(SqlitePubSub(SqlitePubSubSettings(folder=tmp_path, timeout_s=0.1)))
    consumer = pubsub.consumer("t")
    pubsub.publish("t", b"x")
    with ThreadPoolExecutor(1) as threads:
        with Line(tmp_path / "pubsub.db").first(1):
            with pytest.raises(DeadlineError, match="no turn to write"):
                consumer.receive(1, 0)
            waiting = threads.submit(consumer.receive, 1, 5)
            time.sleep(0.5)

        assert [b"x"] == [message.data for message in waiting.result()]
    pubsub.close()


@pytest.mark.timeout(120)
def test_twenty_producers_and_four_consumers_all_get_their_turns(tmp_path):
    end = time.monotonic() + 3
    sent, received = [], []

    def run(
        work,
    ):  # each stands for a process; one that waits longer raises: six times the longest on a busy machine
        with PubSub(SqlitePubSub(SqlitePubSubSettings(folder=tmp_path, timeout_s=5))) as pubsub:
            step = work(pubsub)
            while time.monotonic() < end:
                step()

    def producing(pubsub):
        return lambda: sent.append(pubsub.publish("t", b"x"))

    def consuming(pubsub):
        consumer = pubsub.consumer("t", lease=60)

        def take():
            messages = consumer.receive(50, 0.5)
            consumer.ack(messages)
            received.extend(message.id for message in messages)

        return take

    with open_pubsub(tmp_path) as pubsub, ThreadPoolExecutor(24) as threads:
        pubsub.consumer("t").close()
        for outcome in [threads.submit(run, work) for work in [producing] * 20 + [consuming] * 4]:
            outcome.result()
        rest = pubsub.depth("t")

    assert len(sent) == len(set(received)) + rest == len(received) + rest
    assert len(received) > 0


def _bytes_in(folder):
    return sum(path.stat().st_size for path in folder.glob("pubsub.db*"))


@pytest.mark.parametrize(
    "fields",
    [{"id": "\ud83d"}, {"content_type": "\ud83d"}, {"attributes": {"a": "\ud83d"}}, {"key": "\ud83d"}],
)
def test_text_without_a_form_in_utf_8_is_refused(tmp_path, fields):
    with PubSub(SqlitePubSub(SqlitePubSubSettings(folder=tmp_path))) as pubsub:
        with pytest.raises(InvalidArgumentError, match="is not valid Unicode"):
            pubsub.publish("t", b"x", raw=True, **fields)

        assert [] == list(pubsub.topics())


def test_a_lease_of_an_intake_keeps_to_the_limit_of_the_engine(tmp_path):
    class ShortLeases(SqlitePubSub):
        limits = PubSubLimits(max_lease_s=10)

    with (
        PubSub(ShortLeases(SqlitePubSubSettings(folder=tmp_path))) as pubsub,
        pytest.raises(InvalidArgumentError, match="lease is 11"),
    ):
        pubsub.intake("t", lease=11)
