"""Content of other programs where Capa keeps its own: passed over, or an error that names the place."""

import json
import sqlite3
import time
from contextlib import closing

import pytest
import redis
from structlog.testing import capture_logs

from capa_core import Runtime
from capa_core.errors import ConflictError, DataLossError, InvalidArgumentError, SettingsError

DEEP = b"[" * 50_000 + b"]" * 50_000
NOT_UTF_8 = "CAST(x'ff41' AS TEXT)"


@pytest.fixture
def runtime(tmp_path):
    with Runtime({}, start=tmp_path, environ={}) as runtime:
        yield runtime


def run(component, statement):
    component.native(sqlite3.Connection).execute(statement)


# SQLite


@pytest.mark.parametrize(
    ("stored", "value"), [("'text'", b"text"), ("5", b"5"), ("1.5", b"1.5"), (NOT_UTF_8, b"\xffA")]
)
def test_a_value_of_another_type_is_its_bytes(runtime, stored, value):
    state = runtime.state()
    state.put("other", b"x")
    run(state, f"INSERT INTO state VALUES ('k', {stored}, 'e', NULL)")

    assert (value, "e") == (state.get("k"), state.get_items(["k"])["k"].etag)
    assert {"k", "other"} == set(state.scan(""))


def test_a_text_is_no_number_to_add_to(runtime):
    state = runtime.state()
    state.put("other", b"x")
    run(state, "INSERT INTO state VALUES ('k', 'text', 'e', NULL)")

    with pytest.raises(ConflictError, match="does not hold a whole number"):
        state.increment("k")


def test_a_name_that_is_not_utf_8_is_an_error_that_names_the_file_and_hides_the_text(runtime):
    state, locks = runtime.state(), runtime.lock()
    state.put("k", b"x")
    locks.lock("k").acquire()
    run(state, f"INSERT INTO state VALUES ({NOT_UTF_8}, x'', 'e', NULL)")
    run(locks, f"INSERT INTO lock SELECT {NOT_UTF_8}, 1, 'me', boot, expires_s FROM lock")

    for listing, file in (
        (lambda: list(state.scan("")), "state.db"),
        (lambda: list(locks.inspect()), "lock.db"),
    ):
        with pytest.raises(DataLossError, match=rf"{file}: a text that another program wrote") as caught:
            listing()
        assert "A" not in str(caught.value).replace(str(caught.value).partition(": ")[0], "")


def test_a_lock_of_another_program_is_listed_or_passed_over(runtime):
    locks = runtime.lock()
    locks.lock("ours").acquire()
    for row in (
        "'number', 'abc', 5, boot, 1e12",
        "x'41', 1, 'me', boot, 1e12",
        "'when', 1, 'me', boot, 'soon'",
    ):
        run(locks, f"INSERT INTO lock SELECT {row} FROM lock WHERE name = 'ours'")

    assert [("number", "5", 0), "ours"] == [
        each.name if each.name == "ours" else (each.name, each.owner, each.token) for each in locks.inspect()
    ]
    assert 2 == locks.try_lock("when", "another"), "a lease that is no time has ended"


def test_records_of_another_program_do_not_hold_up_a_log(runtime):
    log = runtime.log()
    log.append("t", b"ours")
    for columns in ("'k', '{', 'text'", "NULL, '[1]', 5", f"NULL, {NOT_UTF_8}, x'41'"):
        run(log, f"INSERT INTO record SELECT id, behind, 0, 'when', {columns} FROM part WHERE number = 0")
        run(log, "UPDATE part SET behind = behind + 1 WHERE number = 0")
    found = []
    with log.consumer("t", "g") as consumer:
        while len(found) < 4:
            found += [(each.key, each.value, each.headers) for each in consumer.poll(10, 1.0)]

    assert {(b"k", b"text"), (None, b"5"), (None, b"A"), (None, b"ours")} == {each[:2] for each in found}
    assert [{}] * 3 == [headers for _, value, headers in found if value != b"ours"]


def test_messages_of_another_program_are_received_as_far_as_they_can_be_read(runtime):
    pubsub = runtime.pubsub()
    consumer = pubsub.consumer("t", raw=True)
    for attributes, data in (("{", "'text'"), ("[1]", "7"), ('{"a": 5}', "x'41'"), ("", "'kept'")):
        run(
            pubsub,
            "INSERT INTO message"
            " (queue, visible_at, urgency, due, published_at, key, id, content_type, attributes, data)"
            f" SELECT id, 0, 9, 0, 'when', '', 'i', 'c', '{attributes}', {data} FROM queue",
        )
    peeked = [each.attributes for each in pubsub.peek("t")]
    pubsub.publish("t", b"ours", raw=True)

    assert [{}, {}, {}, {}] == peeked
    assert [(b"text", {}), (b"7", {}), (b"A", {}), (b"kept", {}), (b"ours", {})] == [
        (message.data, message.attributes) for message in consumer.receive(10)
    ]


@pytest.mark.parametrize(
    ("block", "file", "statements"),
    [
        ("pubsub", "pubsub.db", "CREATE TABLE message (x)"),
        ("state", "state.db", "CREATE TABLE users (x)"),
        ("lock", "lock.db", "CREATE TABLE lock (x); PRAGMA user_version = 1"),
        ("log", "log.db", "CREATE TABLE record (x); PRAGMA user_version = 1"),
        ("pubsub", "pubsub.db", "CREATE TABLE message (x); PRAGMA user_version = 2"),
    ],
)
def test_a_file_of_another_program_is_named_and_left_as_it_is(runtime, tmp_path, block, file, statements):
    path = tmp_path / ".capa" / file
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(statements)
    before = path.read_bytes()
    component = runtime.component(block, "default")
    for call in (component.ping, component.summary):
        with pytest.raises(DataLossError, match=rf"{file} is of another program: .*Move it away"):
            call()

    assert before == path.read_bytes()


@pytest.mark.parametrize(
    ("file", "statements", "missing", "call"),
    [
        ("state.db", "ALTER TABLE state RENAME TO gone", "no column state.", lambda r: r.state().get("k")),
        ("state.db", "DROP TABLE state", "no column state.", lambda r: r.state().put("k", b"v")),
        ("pubsub.db", "DROP TABLE message", "no column message.", lambda r: r.pubsub().publish("t", b"x")),
        ("pubsub.db", "DROP TABLE queue", "no column queue.", lambda r: r.pubsub().ping()),
        ("log.db", "DROP TABLE record", "no column record.", lambda r: r.log().append("t", b"x")),
        ("lock.db", "DROP TABLE lock", "no column lock.", lambda r: r.lock().try_lock("l", "me")),
    ],
)
def test_a_file_that_is_altered_while_it_is_open_is_named(runtime, tmp_path, file, statements, missing, call):
    runtime.state().put("k", b"v")
    runtime.pubsub().consumer("t", raw=True)
    runtime.pubsub().publish("t", b"x", raw=True)
    runtime.log().append("t", b"x")
    runtime.lock().try_lock("other", "me")
    with closing(sqlite3.connect(tmp_path / ".capa" / file)) as connection:
        connection.executescript(statements)

    with pytest.raises(DataLossError, match=f"{file} was altered by another program .*{missing}"):
        call(runtime)


# Files


@pytest.mark.parametrize(("name", "content"), [("a.json", '{{"a": {}}}'), ("a.toml", "a = {}")])
def test_a_number_of_too_many_digits_is_an_error_that_names_the_file(runtime, tmp_path, name, content):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / name).write_text(content.format("9" * 5000))

    with pytest.raises(SettingsError, match=rf"{name}.*too many digits"):
        runtime.configuration().get(group=name)


def test_half_of_a_surrogate_pair_stays_in_a_document_and_is_refused_as_a_value(runtime, tmp_path):
    (tmp_path / "config").mkdir()
    document = tmp_path / "config" / "a.json"
    document.write_text('{"old": "\\ud800"}')
    configuration = runtime.configuration()
    configuration.save({"new": "x"}, group="a.json")
    with pytest.raises(InvalidArgumentError, match="the value of 'k' is not valid Unicode"):
        configuration.save({"k": "\ud800"}, group="a.json")

    assert {"old": "\ud800", "new": "x"} == json.loads(document.read_text())


def test_a_folder_in_the_place_of_a_file_is_an_error_and_listed_without_items(runtime, tmp_path):
    (tmp_path / "config" / "application.properties").mkdir(parents=True)
    configuration = runtime.configuration()
    with pytest.raises(SettingsError, match=r"config/application.properties: not a file.*Move it away"):
        configuration.get()

    assert [None] == [group.items for group in configuration.inspect()]


# Deep nesting, which Python's parser refuses


def test_an_event_that_is_nested_too_deeply_is_delivered_as_it_is(runtime):
    event = b'{"specversion": "1.0", "id": "i", "data": ' + DEEP + b"}"
    pubsub = runtime.pubsub()
    with pubsub.consumer("t") as consumer:
        pubsub.publish("t", event, content_type="application/cloudevents+json", raw=True)
        (message,) = consumer.receive()

    assert event == message.data
    with pytest.raises(ValueError, match="nested too deeply"):
        message.json()


def test_json_that_is_nested_too_deeply_goes_through_a_topic_unchanged(runtime):
    pubsub = runtime.pubsub()
    with pubsub.consumer("t") as consumer:
        pubsub.publish("t", DEEP, content_type="application/json")

        assert [DEEP] == [message.data for message in consumer.receive()]


def test_a_value_that_is_nested_too_deeply_holds_no_json(runtime):
    runtime.state().put("k", DEEP)

    with pytest.raises(InvalidArgumentError, match="'k' does not hold JSON .nested too deeply"):
        runtime.state().get_json("k")


# Redis


@pytest.fixture
def server(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def on_redis(redis_url, tmp_path):
    table = {"default": {"driver": "redis", "url": redis_url}}
    with Runtime({"state": table, "lock": table}, start=tmp_path, environ={}) as runtime:
        yield runtime


@pytest.mark.server("redis")
def test_keys_and_etags_of_another_program_are_passed_over(server, on_redis):
    state = on_redis.state()
    state.put("ours", b"x")
    server.set(b"capa:state:\xff", b"x")
    server.set("capa:state:k", b"\x00\x01ce" + b"\xff" * 16 + b"rest")

    assert {"ours", "k"} == set(state.scan(""))
    assert b"rest" in state.get("k")


@pytest.mark.server("redis")
def test_locks_of_another_program_are_passed_over(server, on_redis):
    locks = on_redis.lock()
    locks.lock("ours").acquire()
    for key, value in (
        (b"capa:lock:{\xff}", b"1:me"),
        (b"capa:lock:{a}", b"text"),
        (b"capa:lock:{b}", b"1:\xff"),
    ):
        server.set(key, value, px=60_000)

    assert ["ours"] == [each.name for each in locks.inspect()]
    assert locks.try_lock("a", "me") is None


@pytest.mark.server("redis")
@pytest.mark.parametrize("value", ["garbage", "5:another"])
def test_a_lock_that_another_program_blocks_is_counted_and_warned_of_once(server, on_redis, value):
    locks, key = on_redis.lock(), "capa:lock:{beat}"
    server.set(key, value)
    lock = locks.lock("beat", lease=0.1)
    with capture_logs() as logs:
        assert lock.try_acquire() is None
        assert [] == logs
        time.sleep(0.1)
        assert [None, None] == [lock.try_acquire(), locks.try_lock("beat", "me", lease=0.1)]

    assert [("warning", key)] == [(each["log_level"], each["place"]) for each in logs]
    assert f"0 held, 1 blocked by what another program wrote: {key}" == locks.summary()
    server.delete(key)
    with locks.lock("beat"):
        assert "1 held" == locks.summary()
