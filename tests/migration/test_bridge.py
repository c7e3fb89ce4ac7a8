"""`capa bridge`: messages arrive as they were published, once, and go no circles; the switch and the counts."""

from __future__ import annotations

import json
import time
from uuid import uuid4

import pytest
from servers._process import free_port

from capa_core import Runtime
from capa_core.blocks.pubsub import Delivery, Draft, Message
from capa_core.conformance._tolerance import wait_until
from capa_migration.cli import bridge_view
from capa_migration.live.bridge import status
from capa_migration.live.bridge.carried import KEY, PRIORITY, TIME, WAY, comes_once, draft

TOML = """
[pubsub.a]
driver = "sqlite"
folder = "a"

[pubsub.b]
driver = "sqlite"
folder = "b"

[pubsub.small]
driver = "memory"
max_message_bytes = 100

[profiles.same.pubsub.b]
folder = "a"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "capa.toml").write_text(TOML)
    return tmp_path


@pytest.fixture
def runtime(folder):
    with Runtime(start=folder) as runtime:
        yield runtime


@pytest.fixture
def bridge(folder, capa):
    """Return a function that runs `capa bridge`, and the last line of its data where that is asked for."""

    def run(*words):
        ran = capa("bridge", *words)
        if "--json" in words and ran.out:
            text = ran.out if ran.out.startswith("{\n") else ran.out.splitlines()[-1]
            return ran.code, json.loads(text)["bridges"], ran.err
        return ran

    return run


def received(pubsub, topic="t", group="default", *, most=100):
    """Return and settle what waits for *group*."""
    with pubsub.consumer(topic, group, raw=True) as consumer:
        messages = []
        while found := consumer.receive(most, 0.3):
            consumer.ack(found)
            messages += found
        return messages


def take(*words):
    """Return the words that move what waits in the group of the consumers."""
    return (*words, "--group", "default", "--once")


def test_a_message_arrives_as_it_was_published(bridge, runtime):
    a, b = runtime.pubsub("a"), runtime.pubsub("b")
    sent = Draft(
        data=b"\x00\xff",
        content_type="image/x",
        attributes={"tenant": "Zürich"},
        key="k",
        priority=7,
        ttl=600,
        id="one",
    )
    a.publish_many("t", [sent], raw=True)
    published = time.time()
    code, out, _ = bridge(*take("a:t", "b:u:v"))
    (found,) = received(b, "u:v")
    marks = {name: found.attributes[name] for name in found.attributes if name.startswith("capa-")}

    assert (0, "1 moved; 0 wait") == (code, out.splitlines()[-1].removeprefix("bridge: "))
    assert (b"\x00\xff", "image/x", "k", 7, "one") == (
        found.data,
        found.content_type,
        found.key,
        found.priority,
        found.id,
    )
    assert {"tenant": "Zürich", **marks} == dict(found.attributes)
    assert {WAY, TIME} == set(marks)
    assert published == pytest.approx(float(marks[TIME]), abs=30)
    assert published + 600 == pytest.approx(found.expires_at, abs=30)


def test_an_event_arrives_in_its_envelope(bridge, runtime):
    ident = runtime.pubsub("a").publish("t", {"n": 1}, attributes={"type": "order.placed"})
    bridge(*take("a:t", "b:t"))
    with runtime.pubsub("b").consumer("t") as consumer:
        (found,) = consumer.receive(1, 5)

    assert ({"n": 1}, ident, "order.placed") == (found.json(), found.id, found.attributes["type"])


def test_a_message_is_not_moved_before_it_is_due(bridge, runtime):
    a = runtime.pubsub("a")
    a.publish("t", b"later", delay=60, raw=True)
    a.publish("t", b"now", raw=True)
    code, (data,), _ = bridge(*take("a:t", "b:t", "--json"))

    assert (1, 1, 1) == (code, data["moved"], data["lag"])
    assert [b"now"] == [message.data for message in received(runtime.pubsub("b"))]


def test_an_expired_message_is_not_moved():
    delivery = Delivery("i", b"", "a/b", {}, None, 1)
    message = Message("i", "t", b"", "a/b", {}, "", 0, 1, 0.0, delivery, expires_at=time.time() - 1)
    from capa_migration.live.bridge.carried import Verdict, verdict

    assert Verdict.EXPIRED is verdict(message, "there", take_back=False)


def test_bridges_in_both_directions_do_not_circle(bridge, runtime):
    a, b = runtime.pubsub("a"), runtime.pubsub("b")
    for _ in range(3):  # the groups of the bridges exist from the first time on
        bridge("a:t", "b:t", "--once")
        bridge("b:t", "a:t", "--once")
        if not a.depth("t", "mine"):
            for pubsub in (a, b):
                pubsub.consumer("t", "mine").close()
            a.publish("t", b"from a", raw=True)
            b.publish("t", b"from b", raw=True)

    for pubsub in (a, b):
        assert [b"from a", b"from b"] == sorted(message.data for message in received(pubsub, group="mine"))


def test_consumers_of_a_shared_group_keep_what_came_from_the_target(bridge, runtime):
    runtime.pubsub("a").publish("t", b"x", raw=True)
    bridge(*take("a:t", "b:t"))
    code, (data,), _ = bridge(*take("b:t", "a:t", "--json"))

    assert (1, 0, 1) == (code, data["moved"], data["lag"])
    wait_until(lambda: [b"x"] == [message.data for message in received(runtime.pubsub("b"))])


def test_a_circle_that_names_a_topic_in_many_ways_ends(bridge, runtime):
    marks = ",".join(f"{number:012x}" for number in range(8))
    runtime.pubsub("a").publish("t", b"x", attributes={WAY: marks}, raw=True)
    code, (data,), _ = bridge(*take("a:t", "b:t", "--json"))
    (letter,) = runtime.pubsub("a").dead_letters("t")

    assert (1, 0, 1) == (code, data["moved"], data["dead_letters"])
    assert "they form a circle" in letter.reason


def test_messages_are_taken_back_and_moved_again_without_loss(bridge, runtime):
    """Within the window too, in which the id is known on the other side."""
    a, b = runtime.pubsub("a"), runtime.pubsub("b")
    a.publish_many("t", [b"1", b"2"], raw=True)
    bridge(*take("a:t", "b:t"))
    code, (data,), _ = bridge(*take("b:t", "a:t", "--take-back", "--json"))
    depths = a.depth("t"), b.depth("t")
    bridge(*take("a:t", "b:t"))
    bridge(*take("b:t", "a:t", "--take-back"))

    assert (0, 2, (2, 0)) == (code, data["moved"], depths)
    assert [b"1", b"2"] == [message.data for message in received(a)]


@pytest.mark.parametrize(("window", "arrive"), [((), 1), (("--window", "0"), 2)])
def test_an_id_arrives_once_within_the_window(bridge, runtime, window, arrive):
    for _ in range(2):
        runtime.pubsub("a").publish("t", b"x", id="same", raw=True)
    code, (data,), _ = bridge(*take("a:t", "b:t", "--json"), *window)

    assert (0, arrive, 2 - arrive) == (code, data["moved"], data["duplicates"])
    assert arrive == len(received(runtime.pubsub("b")))


@pytest.mark.server("rabbitmq")
def test_a_state_component_knows_the_ids_where_the_target_does_not(bridge, runtime, folder, rabbitmq_url):
    (folder / "capa.toml").write_text(
        f'{TOML}[pubsub.rabbit]\ndriver = "rabbitmq"\nurl = "{rabbitmq_url}"\n[state.ids]\ndriver = "sqlite"\n'
    )
    words = take("a:t", f"rabbit:{uuid4().hex}", "--state", "ids", "--json")
    moved = []
    for _ in range(2):
        runtime.pubsub("a").publish("t", b"x", id="same", raw=True)
        _, (data,), _ = bridge(*words)
        moved.append((data["moved"], data["duplicates"]))

    assert [(1, 0), (0, 1)] == moved
    assert "state ids removes duplicates by id within 600 s" in data["notes"][0]


def test_messages_of_other_programs_without_an_id_are_all_moved():
    delivery = Delivery("", b"", "a/b", {}, None, 1)
    message = Message("", "t", b"", "a/b", {}, "", 0, 1, 0.0, delivery)
    with Runtime.in_memory() as runtime:
        found = draft(message, ("here", "there"), runtime.pubsub(), 600)

    assert not comes_once(message)
    assert (None, 0.0) == (found.id, found.once_within)


@pytest.mark.server("redis")
def test_what_an_engine_lacks_is_carried_along_and_comes_back(bridge, runtime, folder, redis_url):
    """The key travels beside the body where messages are not ordered by it."""
    (folder / "capa.toml").write_text(f'{TOML}[pubsub.redis]\ndriver = "redis"\nurl = "{redis_url}"\n')
    runtime.pubsub("a").publish("t", b"x", key="k", priority=3, raw=True)
    bridge(*take("a:t", "redis:t"))
    with Runtime(start=folder) as now:
        (seen,) = now.pubsub("redis").peek("t")
    bridge(*take("redis:t", "b:t"))
    (found,) = received(runtime.pubsub("b"))

    assert ("k", 3) == (seen.attributes[KEY], seen.priority)
    assert ("k", 3) == (found.key, found.priority)
    assert not {KEY, PRIORITY} & set(found.attributes)


def test_a_message_that_the_target_refuses_becomes_a_dead_letter_and_the_others_go_on(bridge, runtime):
    a = runtime.pubsub("a")
    a.publish_many("t", [b"1", b"x" * 101, b"2"], raw=True)
    _, plan, _ = bridge("a:t", "small:t", "--group", "default", "--dry-run")
    code, (data,), _ = bridge(*take("a:t", "small:t", "--json"))
    (letter,) = a.dead_letters("t")

    assert "3 would be moved" in plan
    assert "1 of 3 are larger than small accepts (100 bytes)" in plan
    assert (1, 2, 1, 0) == (code, data["moved"], data["dead_letters"], data["lag"])
    assert "max_message_bytes" in letter.reason


def test_a_dry_run_and_a_status_change_nothing(bridge, runtime):
    a = runtime.pubsub("a")
    a.publish_many("t", [b"1", b"2"], raw=True)
    before = a.inspect("t")
    (forecast,) = bridge("a:t", "b:t", "--dry-run", "--json")[1]
    (status,) = bridge("a:t", "b:t", "--status", "--json")[1]

    assert (2, 2, 0, 0) == tuple(
        forecast[name] for name in ("waiting", "looked_at", "too_large", "came_from_there")
    )
    assert (2, 0, "") == (status["lag"], status["dead_letters"], status["problem"])
    assert (before.groups, before.kept) == (a.inspect("t").groups, a.inspect("t").kept)


def test_a_group_of_its_own_is_told_to_be_new(bridge, runtime):
    a = runtime.pubsub("a")
    a.consumer("t", "billing").close()
    a.publish("t", b"before", raw=True)
    first = bridge("a:t", "b:t", "--once")[1]
    a.publish("t", b"after", raw=True)
    second = bridge("a:t", "b:t", "--once")[1]

    assert "group 'bridge to b:t' is new: messages of other groups stay with them" in first
    assert "is new" not in second
    assert [b"after"] == [message.data for message in received(runtime.pubsub("b"))]
    assert [b"before", b"after"] == [message.data for message in received(a, group="billing")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a:t", "a:t"), "are the same topic"),
        (("a:t", "same/b:t"), "are the same topic"),
        (("a:t", "c:t"), "has no [pubsub.c]; there are a, b, small"),
        (("a:t", "none/b:t"), "no profile 'none'"),
        (("a", "b:t"), "'a' is no topic of a component"),
        (("a:t",), "give FROM and TO"),
        ((), "give FROM and TO"),
        (("--all",), "has no [bridges.NAME]"),
        (("orders",), "has no [bridges.NAME]"),
        (("a:t", "b:t", "--all"), "--all takes the ends"),
        (("a:t", "b:t", "--state", "ids"), "has no [state.ids]"),
        (("a:t", "b:t", "--window", "-1"), "not a number of seconds"),
        (("a:\x01", "b:t"), "topic"),
    ],
)
def test_wrong_usage_is_refused_and_nothing_is_moved(bridge, runtime, words, said):
    runtime.pubsub("a").publish("t", b"x", raw=True)
    code, _, err = bridge(*words, "--once") if "--status" not in words else bridge(*words)

    assert (3, 1) == (code, runtime.pubsub("a").depth("t"))
    assert said in err


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('from = "a:t"', "bridges.x"),
        ('from = "a:t"\nto = "b:t"\nwindow = 3', "unknown key 'window'"),
        ('from = "a"\nto = "b:t"', "'a' is no topic"),
        ('from = "a:t"\nto = "b:t"\nlease_s = 0', "bridges.x.lease_s"),
        ('from = "a:t"\nto = "b:t"\non = "yes"', "must be true or false"),
    ],
)
def test_a_wrong_table_is_refused_by_its_place(bridge, folder, table, said):
    (folder / "capa.toml").write_text(f"{TOML}[bridges.x]\n{table}\n")
    code, _, err = bridge("--all", "--once")

    assert 3 == code
    assert said in err


def test_a_table_is_run_by_its_name_and_all_that_are_on(bridge, runtime, folder):
    tables = (
        '[bridges.one]\nfrom = "a:1"\nto = "b:1"\ngroup = "default"\n'
        '[bridges.two]\nfrom = "a:2"\nto = "b:2"\ngroup = "default"\non = false\n'
    )
    (folder / "capa.toml").write_text(TOML + tables)
    for topic in ("1", "2"):
        runtime.pubsub("a").publish(topic, b"x", raw=True)
    listed = [(row["bridge"], row["on"], row["lag"]) for row in bridge("--all", "--status", "--json")[1]]
    code, rows, _ = bridge("--all", "--once", "--json")
    left = runtime.pubsub("a").depth("2")
    bridge("two", "--once")

    assert [("one", True, 1), ("two", False, 1)] == listed
    assert (0, [("one", 1)], 1) == (code, [(row["bridge"], row["moved"]) for row in rows], left)
    assert 0 == runtime.pubsub("a").depth("2")
    assert "it has one, two" in bridge("three", "--once")[2]


@pytest.mark.server("redis")
def test_an_end_that_does_not_answer_ends_a_drain_with_2(bridge, runtime, folder):
    (folder / "capa.toml").write_text(
        f'{TOML}[pubsub.redis]\ndriver = "redis"\nurl = "redis://127.0.0.1:{free_port()}/0"\n'
    )
    runtime.pubsub("a").publish("t", b"x", raw=True)
    to_it = bridge(*take("a:t", "redis:t", "--wait", "1.5"))
    from_it = bridge(*take("redis:t", "a:t", "--wait", "1.5"))
    status = bridge("redis:t", "a:t", "--status")

    assert (2, 2, 2) == (to_it[0], from_it[0], status[0])
    assert "bridge waits, nothing is lost" in to_it[2]
    assert "the source does not answer" in from_it[1]
    assert 1 == runtime.pubsub("a").depth("t")


@pytest.mark.parametrize(("last", "code"), [(0, 0), (3, 1), (None, 2)], ids=["none", "some", "unknown"])
def test_the_exit_code_is_by_what_waits_after_the_end(bridge, runtime, monkeypatch, last, code):
    runtime.pubsub("a").publish("t", 1)
    looks = iter([1])
    monkeypatch.setattr(status, "lag_of", lambda route: next(looks, last))
    monkeypatch.setattr(bridge_view, "_LAG_EVERY_S", 60)
    monkeypatch.setattr(bridge_view, "_AFTER_FAILURE_S", 60)

    assert bridge(*take("a:t", "b:t"))[0] == code
