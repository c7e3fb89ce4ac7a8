"""`capa migrate drain`: what waits in Celery's broker goes on once, with its time and priority; the rest is named."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import redis
from celery_backlog import publish, work

from capa_core import Runtime
from capa_migration.live.drain import survey

pytestmark = [pytest.mark.server("redis"), pytest.mark.timeout(120)]

LATER_S = 3600
DIFFERENT = [
    work(0),
    work(1, priority=9),
    work(2, priority=4),
    work(3, countdown=LATER_S),
    work(4, countdown=LATER_S, expires=2 * LATER_S),
    work(5, expires=0.001),
    work(6, serializer="pickle"),
    work(7, compression="zlib"),
    work(8, queue="mail"),
]
MALFORMED = [
    b"\xff",
    b"[]",
    b"{}",
    b'{"body": "", "headers": 1, "properties": {}, "content-type": "", "content-encoding": ""}',
    b'{"a":' * 3000,
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def broker(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def drain(folder, capa, redis_url):
    """Return a function that drains the broker into SQLite, and returns exit code, queues by name, and the errors."""

    def run(*words, address=redis_url):
        ran = capa("migrate", "drain", address, "--json", *words)
        data = json.loads(ran.out) if ran.out else {"schema": 1, "queues": [], "exit": ran.code}
        assert ("schema", "exit", ran.code) == (next(iter(data)), next(reversed(data)), data["exit"])
        queues = data["queues"]
        return ran.code, {row["queue"]: row for row in queues}, ran.err

    return run


def message(ident=None, **headers):
    """Return a message as Celery's 5.7 publishes it."""
    ident = ident or str(uuid4())
    return {
        "body": "W1tdLCB7fSwge31d",  # [[], {}, {}]
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": "killed.work", "id": ident, "retries": 0, **headers},
        "properties": {
            "correlation_id": ident,
            "delivery_info": {"exchange": "", "routing_key": "celery"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid4()),
        },
    }


def bind(broker, queue):
    """Declare a queue, as Celery does."""
    broker.sadd(f"_kombu.binding.{queue}", f"{queue}\x06\x16\x06\x16{queue}")


def put(broker, *messages, queue="celery"):
    """Have *messages* wait in a queue, as Celery has them wait there."""
    bind(broker, queue)
    broker.lpush(queue, *(json.dumps(each) for each in messages))


def hold(broker, held, since):
    """Have a worker hold a message, as Celery has it."""
    bind(broker, "celery")
    tag = held["properties"]["delivery_tag"]
    broker.hset("unacked", tag, json.dumps([held, "", "celery"]))
    broker.zadd("unacked_index", {tag: since})


def moved(topic="celery"):
    """Return what waits in the component that capa.toml names, by the first argument of the task or its id."""
    with Runtime() as runtime:
        return runtime.pubsub("celery").peek(topic, "celery", most=10_000, max_bytes=2**20)


def state_of(broker):
    """Return all that is in the broker's database."""
    return {key: broker.dump(key) for key in broker.keys("*")}


def test_each_kind_of_task_goes_on_with_its_time_and_priority(drain, redis_url, broker):
    publish(redis_url, DIFFERENT)
    waited = {
        found["headers"]["id"]: found
        for step in ("", "\x06\x163", "\x06\x166", "\x06\x169")
        for found in map(json.loads, broker.lrange(f"celery{step}", 0, -1))
    }
    code, queues, _ = drain()
    found = {json.loads(each.data)["headers"]["id"]: each for each in moved()}
    (mail,) = moved("mail")
    argument = lambda ident: int(waited[ident]["headers"]["argsrepr"].strip("[").partition(",")[0])  # noqa: E731 - short

    assert (0, {"celery": 8, "mail": 1}) == (code, {name: row["moved"] for name, row in queues.items()})
    assert (2, 1) == (queues["celery"]["with_eta"], queues["celery"]["expired"])
    assert {ident: json.loads(each.data) for ident, each in found.items()} == waited
    assert {argument(ident): each.priority for ident, each in found.items()} == {
        **dict.fromkeys((0, 3, 4, 5, 6, 7), 9),
        1: 0,
        2: 5,
    }
    assert {argument(ident) for ident, each in found.items() if each.state == "delayed"} == {3, 4}
    assert "mail" == json.loads(mail.data)["properties"]["delivery_info"]["routing_key"]
    assert not broker.keys("celery*") + broker.keys("_capa*")


def test_a_dry_run_counts_and_changes_nothing(drain, broker, folder):
    eta = datetime.now(UTC) + timedelta(hours=1)
    put(broker, message(), message(eta=eta.isoformat()), message(expires="2001-01-01T00:00:00+00:00"))
    broker.lpush("celery", b"\xff")
    hold(broker, message(), time.time())
    before = state_of(broker)
    code, queues, _ = drain("--dry-run")

    counted = {"moved": 3, "with_eta": 1, "expired": 1, "unreadable": 1, "held": 1}
    assert (0, counted) == (code, {name: queues["celery"][name] for name in counted})
    assert before == state_of(broker)
    assert not list(folder.iterdir())


def test_unreadable_messages_stay_where_they_are_and_are_named(drain, broker, capa, redis_url):
    put(broker, *(message() for _ in range(survey.MOST_NAMED)))
    broker.lpush("celery", *MALFORMED)
    broker.rpush("celery", *MALFORMED)
    code, queues, _ = drain()
    named = capa("migrate", "drain", redis_url).out

    assert (1, survey.MOST_NAMED, 2 * len(MALFORMED)) == (
        code,
        queues["celery"]["moved"],
        queues["celery"]["unreadable"],
    )
    assert [*MALFORMED[::-1], *MALFORMED] == broker.lrange("celery", 0, -1)
    assert 2 * len(MALFORMED) == named.count("stays: celery ")
    assert "'[]': not a task message" in named


def test_parts_of_chords_stay_unless_they_are_asked_for(drain, redis_url):
    publish(redis_url, [work(1, in_chord=True)])
    code, queues, _ = drain()
    asked_for, all_queues, _ = drain("--with-chords")

    assert (1, 2, 2) == (code, queues["celery"]["in_chords"], queues["celery"]["waiting"])
    assert (0, 2) == (asked_for, all_queues["celery"]["moved"])


def test_a_time_without_zone_is_left_to_the_worker(drain, broker):
    put(broker, message(eta="2199-01-01T00:00:00", expires="2199-01-02T00:00:00"))
    code, queues, _ = drain()

    assert (0, 1, 0) == (code, queues["celery"]["moved"], queues["celery"]["with_eta"])
    assert ["ready"] == [each.state for each in moved()]


def test_two_messages_of_one_task_both_go_on(drain, broker):
    put(broker, message("same"), message("same"), message("same", retries=1))
    code, queues, _ = drain()

    assert (0, 3) == (code, queues["celery"]["moved"])
    assert 3 == len(moved())


def test_lists_of_any_priority_steps_and_keys_with_a_prefix_are_found(drain, broker):
    broker.sadd("shop:_kombu.binding.celery", "celery\x06\x16\x06\x16celery")
    for step in range(1, 10):
        broker.lpush(f"shop:celery\x06\x16{step}", json.dumps(message()))
    code, queues, _ = drain("--option", "global_keyprefix=shop:")

    assert (0, 9) == (code, queues["celery"]["moved"])


def test_what_workers_hold_is_refused_then_left_then_restored_after_its_time(drain, broker):
    put(broker, message())
    hold(broker, message(), time.time() - 100_000)
    refused, nothing, errors = drain()
    left, queues, _ = drain("--held", "leave")
    restored, all_queues, _ = drain("--option", "visibility_timeout=90000")

    assert (3, {}) == (refused, nothing)
    assert "workers hold messages of celery (1); nothing was moved" in errors
    assert (1, 1, 1) == (left, queues["celery"]["moved"], queues["celery"]["held"])
    assert (0, 1, 0) == (restored, all_queues["celery"]["moved"], all_queues["celery"]["held"])
    assert 2 == len(moved())


def test_what_workers_give_back_meanwhile_is_waited_for(drain, broker):
    hold(broker, message(), time.time() - 100)
    code, queues, _ = drain("--held", "wait", "--option", "visibility_timeout=101")

    assert (0, 1, 0) == (code, queues["celery"]["moved"], queues["celery"]["held"])


def test_what_workers_held_that_are_known_to_be_dead_is_moved_at_once(drain, broker):
    for _ in range(250):
        hold(broker, message(), time.time())
    code, queues, _ = drain("--option", "visibility_timeout=0")

    assert (0, 250) == (code, queues["celery"]["moved"])


def test_a_database_without_queues_is_told(drain, capa):
    code, _, errors = drain()
    none = capa("migrate", "drain")

    assert 3 == code
    assert "has no queue of Celery's. See that the address names the right database" in errors
    assert (3, True) == (none.code, "in the variable CELERY_BROKER_URL" in none.err)


def test_a_queue_that_is_missing_is_named_with_those_that_are_there(drain, broker):
    put(broker, message())
    put(broker, message(), queue="mail")
    missing, _, errors = drain("--queue", "mial")
    one, queues, _ = drain("--queue", "mail")

    assert 3 == missing
    assert "the broker has no queue 'mial': it has celery, mail. Nothing was moved" in errors
    assert (0, {"mail": 1}) == (one, {name: row["moved"] for name, row in queues.items()})
    assert 1 == broker.llen("celery")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("sentinel://127.0.0.1",), "must begin with redis://"),
        (("redis.internal",), "must begin with redis://"),
        (("redis://h/x",), "not an address of a Redis server"),
        (("redis://h", "--option", "sep"), "give NAME=VALUE with one of global_keyprefix"),
        (("redis://h", "--option", "visibility_timeout=x"), "--option visibility_timeout=x: "),
        (("redis://h", "--option", "priority_steps=a"), "--option priority_steps=a: "),
        (("redis://h", "--held", "x"), "invalid choice: 'x'"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_connected_to(folder, capa, words, reason):
    ran = capa("migrate", "drain", *words)

    assert (3, "") == (ran.code, ran.out)
    assert reason in ran.err


@pytest.mark.parametrize("key", ['wire = "celery"', 'side = "legacy"'])
def test_nothing_is_moved_to_where_no_worker_reads(folder, drain, broker, key):
    (folder / "capa.toml").write_text(f"[adapters.celery]\n{key}\n")
    put(broker, message())
    code, _, errors = drain()

    assert (3, 1) == (code, broker.llen("celery"))
    assert f"[adapters.celery] has {key} (" in errors


def test_wrong_credentials_are_told_and_nothing_is_moved(drain, redis_url):
    code, queues, errors = drain(address=redis_url.replace("://", "://nobody:secret@"))

    assert (2, {}) == (code, queues)
    assert "invalid username-password pair" in errors
    assert "secret" not in errors


def test_a_target_that_is_away_is_waited_for_and_loses_nothing(folder, drain, broker, start_redis):
    server = start_redis(appendonly="yes", appendfsync="always")
    (folder / "capa.toml").write_text(
        f'[pubsub.celery]\ndriver = "redis"\nurl = "{server.url}"\ntimeout_s = 1\n'
    )
    put(broker, *(message() for _ in range(150)))
    server.kill()
    away, _, errors = drain("--wait", "0.2")
    under_way = broker.hlen("_capa.celery.moved:celery")
    server.start()
    back, queues, _ = drain()

    assert (2, 100) == (away, under_way)
    assert "Nothing is lost: run it again within a day" in errors
    assert (0, 150) == (back, queues["celery"]["moved"])
    assert 150 == len(moved())


def test_a_later_drain_takes_the_place_of_an_earlier_one(broker, redis_url, folder):
    from capa_core.errors import ConflictError
    from capa_migration.live.drain import broker as brokers

    put(broker, message(), message())
    with brokers.opened(redis_url, {}, None) as ends:
        first = ends.source.consumer("celery", raw=True)
        (taken,) = first.receive(1, 0)
        second = ends.source.consumer("celery", raw=True)
        received = [*second.receive(10, 0), *second.receive(10, 0)]
        with pytest.raises(ConflictError, match="another process moves the messages of 'celery'"):
            first.ack([taken])
        with pytest.raises(ConflictError):
            first.receive(1, 0)
        first.close()
        second.ack(received)
        second.close()

    assert taken.data == received[0].data
    assert 2 == len(received)
    assert [b"_kombu.binding.celery"] == broker.keys("*")
