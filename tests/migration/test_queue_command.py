"""`capa queue`: topics and messages shown safely, dead letters moved back, messages removed on confirmation."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from capa_core import Runtime
from capa_core.blocks.pubsub import PubSub
from capa_core.errors import ConflictError
from capa_migration.cli import main


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.server("redis"))])
def settings(request, tmp_path, monkeypatch):
    """A folder with a capa.toml whose default pub/sub component is on each engine in turn."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CAPA_PROFILE", raising=False)
    more = f'url = "{request.getfixturevalue("redis_url")}"\n' if request.param == "redis" else ""
    (tmp_path / "capa.toml").write_text(f'[pubsub.default]\ndriver = "{request.param}"\n{more}')
    return tmp_path


@pytest.fixture
def pubsub(settings):
    with Runtime(start=settings) as runtime:
        yield runtime.pubsub()


@pytest.fixture
def queue(settings, capsys):
    def run(*words: str) -> tuple[int, str, str]:
        code = main(["queue", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def kill(pubsub, topic, *bodies):
    """Publish *bodies* and turn each into a dead letter."""
    with pubsub.consumer(topic, raw=True, max_deliveries=1) as consumer:
        for body in bodies:
            pubsub.publish(topic, body, raw=True)
            consumer.nack(consumer.receive(1, 5))


def test_topics_are_listed_with_their_groups_and_dead_letters(queue, pubsub):
    kill(pubsub, "orders", b"bad")
    pubsub.consumer("orders", "billing", raw=True)
    pubsub.publish("orders", b"x", raw=True)
    pubsub.publish("kept", b"x", raw=True)
    code, out, _ = queue("list")
    rows = [re.split(r"  +", line) for line in out.splitlines()]

    assert 0 == code
    assert ["topic", "group", "depth", "in flight", "oldest", "consumers", "dead letters"] == rows[0]
    assert ["kept", "(none yet)", "1", "0", "-", "0"] == [*rows[1][:4], *rows[1][5:]]
    assert [["orders", "billing", "1"], ["orders", "default", "1"]] == [row[:3] for row in rows[2:]]
    assert "1" == rows[2][6]


def test_columns_are_aligned(queue, pubsub):
    for name in ("a", "much-longer"):
        pubsub.publish_many(name, [b"x"] * len(name), raw=True)
    _, out, _ = queue("list")
    head, *lines = out.splitlines()

    assert [head.index("depth") + len("depth")] * 2 == [
        line.index("1" * (1 + (at == 1))) + 1 + (at == 1) for at, line in enumerate(lines)
    ]


def test_the_list_is_data_with_json(queue, pubsub):
    pubsub.consumer("orders", "billing", raw=True)
    pubsub.publish("orders", b"x", raw=True)
    _, out, _ = queue("list", "--json")
    found = json.loads(out)
    (topic,) = found["topics"]

    assert ("default", True) == (found["component"], found["complete"])
    assert ("orders", 1, 0, 0) == (topic["name"], topic["depth"], topic["kept"], topic["dead_letters"])
    assert ("billing", 1) == (topic["groups"][0]["name"], topic["groups"][0]["depth"])


def test_topics_are_listed_up_to_the_limit(queue, pubsub):
    for name in "abc":
        pubsub.publish(name, b"x", raw=True)
    _, out, _ = queue("list", "--most", "2")

    assert "… and more: these are 2 topics" in out


def test_no_topics_are_no_error(queue):
    assert (0, "no topics in component default\n", "") == queue("list")


def test_peeking_shows_messages_and_receives_none(queue, pubsub):
    pubsub.consumer("orders", raw=True)
    pubsub.publish("orders", "für Ärzte", raw=True, id="one", attributes={"h": "v"})
    first, second = queue("peek", "orders"), queue("peek", "orders")

    assert (0, 0) == (first[0], second[0])
    assert re.search(r"one  ready, published \d+ s ago, delivered 0 times, text/plain", second[1])
    assert "  h: v\n  für Ärzte\n" in first[1]


def test_a_message_cannot_drive_the_terminal(queue, pubsub):
    hostile = "\x1b[2J\x1b]0;owned\x07\rover\n\u202ereversed\x9b31m"
    pubsub.publish(
        "orders", hostile, raw=True, id="i\x1b[31m", attributes={"h": "\x1b[0m"}, content_type="a\x07b"
    )
    _, out, _ = queue("peek", "orders")

    assert [] == [one for one in out if not (one.isprintable() or one == "\n")]
    assert r"\x1b[2J\x1b]0;owned\x07\rover\n\u202ereversed\x9b31m" in out


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"\x00\x01\xff" * 100, "00 01 ff 00"),
        (b"x" * 1000, "x" * 400 + " … and 600 bytes more"),
        ("ü".encode() * 1000, "ü" * 200 + " … and 1,600 bytes more"),
        (b"x" + "ü".encode() * 1000, "x" + "ü" * 199 + " … and 1,602 bytes more"),
        (b"", "(empty)"),
    ],
    ids=["binary", "long", "characters", "split-character", "empty"],
)
def test_bodies_are_cut_with_the_number_of_bytes_left_out(queue, pubsub, body, shown):
    pubsub.publish("orders", body, raw=True)
    _, out, _ = queue("peek", "orders")

    assert shown in out
    assert ("(300 bytes, binary)" in out) == body.startswith(b"\x00")


def test_pages_go_on_where_the_last_one_ended(queue, pubsub):
    pubsub.publish_many("orders", [b"first", b"second", b"third"], raw=True)
    _, out, _ = queue("peek", "orders", "--most", "2")
    after = re.search(r"--after (\S+)", out)[1]
    _, rest, _ = queue("peek", "orders", "--after", after)

    assert "third" not in out
    assert ("third" in rest, "second" in rest) == (True, False)


def test_messages_are_data_with_json(queue, pubsub):
    pubsub.publish_many("orders", [b"\xff\x00", b"text"], raw=True)
    _, out, _ = queue("peek", "orders", "--json")
    binary, text = json.loads(out)["messages"]

    assert ("/wA=", "text", "ready") == (binary["data_base64"], text["data"], text["state"])


def test_dead_letters_are_shown_and_go_back(queue, pubsub):
    kill(pubsub, "orders", b"bad", b"worse")
    _, seen, _ = queue("peek", "orders", "--dead")
    replayed = queue("replay", "orders")

    assert "died in group default after 1 delivery" in seen
    assert (0, "2 dead letters of orders moved back to it\n", "") == replayed
    assert 2 == pubsub.depth("orders")
    assert (0, "no messages\n", "") == queue("peek", "orders", "--dead")


def test_messages_are_replayed_up_to_the_limit(queue, pubsub):
    kill(pubsub, "orders", b"1", b"2", b"3")

    moved = json.loads(queue("replay", "orders", "--most", "2", "--json")[1])
    kept = pubsub.depth("orders.dead")
    kill(pubsub, "orders", b"4")
    _, out, _ = queue("replay", "orders", "--most", "1")

    assert ("orders", 2, 0, 1) == (moved["topic"], moved["replayed"], moved["held"], moved["waiting"])
    assert 1 == kept
    assert "1 dead letter of orders moved back to it\n" in out
    assert "more there now: --most left them, or they have come or died again meanwhile; run it again" in out


def test_purge_removes_only_the_named_messages(queue, pubsub):
    kill(pubsub, "orders", b"bad")
    pubsub.consumer("orders", "other", raw=True)
    pubsub.publish_many("orders", [b"1", b"2"], raw=True)
    dead = queue("purge", "orders", "--dead", "--yes")
    group = queue("purge", "orders", "--group", "other", "--yes")
    left = pubsub.depth("orders")
    whole = queue("purge", "orders", "--yes", "--json")

    assert (0, "1 message removed from orders.dead\n", "") == dead
    assert (0, "2 messages removed from orders\n", "") == group
    assert (2, 0) == (left, pubsub.depth("orders"))
    removed = json.loads(whole[1])
    assert ("orders", None, 2) == (removed["topic"], removed["group"], removed["removed"])


def test_other_groups_do_not_hide_dead_letters(queue, pubsub):
    pubsub.consumer("orders.dead", "other", raw=True).close()
    kill(pubsub, "orders", b"1", b"2")
    listed = json.loads(queue("list", "orders", "--json")[1])["topics"][0]["dead_letters"]
    seen = json.loads(queue("peek", "orders", "--dead", "--json")[1])["messages"]

    assert (2, 2) == (listed, len(seen))
    assert (0, "2 dead letters of orders moved back to it\n", "") == queue("replay", "orders")
    assert ["other"] == [group.name for group in pubsub.inspect("orders.dead").groups]


def test_letters_that_another_replay_holds_are_reported(queue, pubsub):
    kill(pubsub, "orders", b"1", b"2")
    with pubsub.consumer("orders.dead", raw=True, lease=60) as killed:
        killed.receive(2, 5)
        code, out, _ = queue("replay", "orders")
        held = json.loads(queue("replay", "orders", "--json")[1])["held"]

    assert (0, 2) == (code, held)
    assert re.search(r"2 more are held by another replay .* until \d\d:\d\d:\d\d at the latest", out)


def test_letters_that_come_meanwhile_are_reported(queue, pubsub, monkeypatch):
    kill(pubsub, "orders", b"1")
    replay = PubSub.replay

    def with_another(self, topic, *, most):
        moved = replay(self, topic, most=most)
        kill(pubsub, topic, b"3")
        return moved

    monkeypatch.setattr(PubSub, "replay", with_another)
    code, out, _ = queue("replay", "orders")

    assert 0 == code
    assert "there now: they have come or died again meanwhile; run it again to move them too\n" in out


@pytest.mark.parametrize(
    "words",
    [
        ["list", "nope"],
        ["list", "orders", "nope"],
        ["peek", "nope"],
        ["peek", "nope", "--dead"],
        ["replay", "nope"],
        ["purge", "nope", "--yes"],
        ["purge", "nope", "--dead", "--yes"],
    ],
    ids=" ".join,
)
def test_an_unknown_topic_is_named_and_not_created(queue, pubsub, words):
    pubsub.publish("orders", b"x", raw=True)
    code, out, err = queue(*words)

    assert (3, "") == (code, out)
    assert err.startswith("capa queue: no topic nope in component default;")
    assert ["orders"] == list(pubsub.topics())


@pytest.mark.parametrize("words", [["peek", "orders"], ["purge", "orders", "--yes"]], ids=["peek", "purge"])
def test_an_unknown_group_is_named_with_those_that_exist(queue, pubsub, words):
    for group in ("g", "other"):
        pubsub.consumer("orders", group, raw=True).close()
    code, _, err = queue(*words, "--group", "nonexist")

    assert (3, "capa queue: no group nonexist on topic orders; there are g, other\n") == (code, err)
    assert ["g", "other"] == [group.name for group in pubsub.inspect("orders").groups]


def test_without_a_group_peek_takes_the_only_one_and_asks_for_one_of_several(queue, pubsub):
    pubsub.consumer("orders", "celery", raw=True).close()
    pubsub.publish("orders", b"x", raw=True)
    _, out, _ = queue("peek", "orders", "--json")
    pubsub.consumer("orders", "other", raw=True).close()
    code, _, err = queue("peek", "orders")

    assert ("celery", 1) == (json.loads(out)["group"], len(json.loads(out)["messages"]))
    assert (
        3,
        "capa queue: topic orders has several groups: choose with --group: celery, other\n",
    ) == (code, err)


def test_a_topic_that_was_emptied_is_known(queue, pubsub):
    pubsub.consumer("orders", raw=True).close()
    pubsub.publish("orders", b"x", raw=True)
    first, second = queue("purge", "orders", "--yes"), queue("purge", "orders", "--yes")

    assert ("1 message removed from orders\n", "0 messages removed from orders\n") == (first[1], second[1])


def test_a_position_of_another_kind_exits_with_3(queue, pubsub):
    pubsub.publish("orders", b"x", raw=True)
    code, _, err = queue("peek", "orders", "--after", "zzz")

    assert (3, 1) == (code, err.count("\n"))
    assert "after is 'zzz'" in err


def test_a_name_that_nothing_serves_is_refused_with_the_options_that_lead_to_a_component(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "capa.toml").write_text("[pubsub.celery]\n[pubsub.shop]\n")

    assert 3 == main(["queue", "list"])
    assert "no [pubsub.default]: give --component celery or --component shop" in capsys.readouterr().err


def test_a_name_that_another_component_serves_is_reported_and_changes_nothing(queue, pubsub):
    kill(pubsub, "orders", b"x")
    note = "there is no [pubsub.nope]: component default serves that name"
    looked = [queue(*words, "--component", "nope") for words in (["list"], ["peek", "orders"])]
    refused = [
        queue(*words, "--component", "nope")
        for words in (["purge", "orders", "--dead", "--yes"], ["replay", "orders"])
    ]

    assert [(0, True)] * 2 == [(code, note in err) for code, _, err in looked]
    assert [(3, True)] * 2 == [(code, note in err) for code, _, err in refused]
    assert 1 == pubsub.depth("orders.dead")


def test_bodies_are_shown_as_a_handler_gets_them(queue, pubsub):
    pubsub.publish("orders", {"id": 42}, attributes={"subject": "s"})
    decoded, stored = queue("peek", "orders")[1], queue("peek", "orders", "--raw")[1]
    (data,) = json.loads(queue("peek", "orders", "--json")[1])["messages"]

    assert '\n  {"id":42}\n' in decoded
    assert "application/json" in decoded
    assert ("specversion" in decoded, "specversion" in stored) == (False, True)
    assert ('{"id":42}', 9, "s") == (data["data"], data["size"], data["attributes"]["subject"])


@pytest.mark.parametrize("words", [["queue", "list"], ["scan", "."], ["doctor"], ["explain"], ["--version"]])
def test_a_closed_standard_output_exits_with_2(tmp_path, words):
    program = "from capa_migration.cli import main; raise SystemExit(main())"
    ran = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-c", program, *words],
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )

    assert 2 == ran.returncode
    assert ran.stderr.startswith(b"capa: standard output is closed; nothing was done")
    assert 1 == ran.stderr.count(b"\n")


def test_purge_without_a_terminal_needs_the_option(queue, pubsub, monkeypatch):
    pubsub.publish("orders", b"x", raw=True)
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        code, _, err = queue("purge", "orders")

    assert (3, 1) == (code, pubsub.depth("orders"))
    assert "--yes" in err


def at_terminal(words, folder, typed=b""):
    """Run capa at a terminal, and return the exit code and its whole output."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", "from capa_migration.cli import main; raise SystemExit(main())", *words],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=folder,
        env={**os.environ, "TERM": "xterm", "NO_COLOR": "", "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    os.close(theirs)
    os.write(ours, typed)
    output = b""
    while True:
        try:
            piece = os.read(ours, 65_536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        output += piece
    os.close(ours)
    return process.wait(), output.decode()


@pytest.mark.parametrize(("typed", "left"), [(b"y\n", 0), (b"n\n", 1), (b"\n", 1), (b"\x04", 1)])
def test_purge_asks_at_a_terminal(pubsub, settings, typed, left):
    pubsub.publish("orders", b"x", raw=True)
    code, output = at_terminal(["queue", "purge", "orders"], settings, typed)

    assert "Remove all messages of orders in component default? [y/N]" in output
    assert (0, left) == (code, pubsub.depth("orders"))


def test_a_terminal_gets_colour_and_a_pipe_none(queue, pubsub, settings):
    kill(pubsub, "orders", b"bad")
    _, output = at_terminal(["queue", "list"], settings)

    assert "\x1b[1mtopic" in output
    assert "\x1b[31morders" in output
    assert "\x1b" not in queue("list")[1]


def test_wrong_usage_exits_with_3(queue):
    with pytest.raises(SystemExit) as ended:
        queue("peek", "orders", "--most", "0")

    assert 3 == ended.value.code
    assert 3 == queue("list", "--profile", "none")[0]


def test_an_engine_that_does_not_answer_exits_with_2(queue, settings):
    (settings / "capa.toml").write_text(
        '[pubsub.default]\ndriver = "redis"\nurl = "redis://127.0.0.1:1/0"\nretries = 0\n'
    )
    code, _, err = queue("list")

    assert 2 == code
    assert "capa queue list: pubsub 'default'" in err


def test_help_has_examples(queue, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["queue", "--help"])

    assert 0 == ended.value.code
    assert "capa queue replay orders" in capsys.readouterr().out


@pytest.mark.server("redis")
def test_a_topic_that_another_program_has_damaged_is_named_and_the_others_are_listed(
    tmp_path, monkeypatch, capsys, redis_url
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "capa.toml").write_text(f'[pubsub.default]\ndriver = "redis"\nurl = "{redis_url}"\n')
    with Runtime(start=tmp_path) as runtime:
        pubsub = runtime.pubsub()
        pubsub.publish_many("good", [b"x"], raw=True)
        pubsub.publish("bad", b"x", raw=True)
        pubsub.native(redis.Redis).set("capa:pubsub:{:bad}:groups", "a text")
        code, out = main(["queue", "list"]), capsys.readouterr().out
        with pytest.raises(
            ConflictError, match="depth failed: WRONGTYPE in a key of this component: .* `prefix`"
        ):
            pubsub.depth("bad")

    assert 2 == code
    assert re.search(r"^good .* 1 ", out, re.MULTILINE)
    assert re.search(r"^topic bad cannot be read: .*WRONGTYPE in a key", out, re.MULTILINE)
