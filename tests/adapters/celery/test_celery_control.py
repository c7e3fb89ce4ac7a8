"""Remote control on memory: who is asked, who answers, what cannot be understood, and what is left behind."""

import threading
import time
from typing import Any

import pytest
from celery.worker.control import Panel, control_command, inspect_command

from capa_celery import _broadcasts
from capa_celery._worker._remote import RemoteControl
from capa_core import default_runtime
from capa_core.conformance._tolerance import wait_until

PIDBOX = "celery.pidbox"
REPLIES = f"reply.{PIDBOX}"


@pytest.fixture
def worker(memory_app: Any, serving: Any) -> Any:
    with serving(memory_app) as worker:
        yield worker


def waiting(exchange: str) -> int:
    """Return how many messages an exchange keeps for nobody."""
    return default_runtime().pubsub("celery").depth(exchange, "nobody")


def listeners(exchange: str) -> bool:
    return _broadcasts.Listeners(default_runtime().state("celery"), exchange).any()


def test_a_command_is_for_those_whom_it_names(memory_app: Any, worker: Any) -> None:
    def asked(**options: Any) -> int:
        return len(memory_app.control.broadcast("ping", reply=True, **options))

    assert [{worker.hostname: {"ok": "pong"}}] == memory_app.control.ping(limit=1)
    assert 1 == asked(destination=[worker.hostname])
    assert 0 == asked(destination=["other@here"], timeout=0.2)
    assert 1 == asked(pattern="*@*", matcher="glob", limit=1)
    assert 0 == asked(pattern="two@.*", matcher="pcre", timeout=0.2)


def test_a_command_without_reply_returns_at_once(memory_app: Any, worker: Any) -> None:
    assert memory_app.control.time_limit("add", soft=7, hard=9) is None
    wait_until(lambda: memory_app.tasks["add"].time_limit == 9)


def test_answers_of_two_clients_stay_apart(memory_app: Any, worker: Any) -> None:
    answers: dict[str, Any] = {}

    def ask(name: str) -> None:
        for _ in range(5):
            answers.setdefault(name, []).extend(memory_app.control.broadcast(name, reply=True, limit=1))

    clients = [threading.Thread(target=ask, args=(name,)) for name in ("ping", "clock")]
    for client in clients:
        client.start()
    for client in clients:
        client.join()

    assert [{worker.hostname: {"ok": "pong"}}] * 5 == answers["ping"]
    assert [["clock"]] * 5 == [list(answer[worker.hostname]) for answer in answers["clock"]]


def test_commands_of_the_application_are_carried_out(memory_app: Any, worker: Any) -> None:
    @inspect_command()
    def who(state: Any) -> Any:
        return [state.hostname, state.consumer.hostname, state.app is memory_app]

    @control_command(args=[("text", str)])
    def note(state: Any, text: str) -> None:
        state.app.seen.append(text)

    try:
        memory_app.control.broadcast("note", arguments={"text": "hello"})
        answer = memory_app.control.inspect(destination=[worker.hostname])._request("who")
    finally:
        for name in ("who", "note"):
            del Panel.data[name], Panel.meta[name]

    assert {worker.hostname: [worker.hostname, worker.hostname, True]} == answer
    assert ["hello"] == memory_app.seen


def test_what_is_not_served_is_answered_with_an_error(memory_app: Any, worker: Any) -> None:
    ask = {"reply": True, "limit": 1}
    control = memory_app.control

    assert "not restarted" in control.pool_restart(**ask)[0][worker.hostname]["error"]
    assert "Autoscale not enabled" in control.autoscale(3, 1, **ask)[0][worker.hostname]["error"]
    assert "keeps its number of slots" in control.pool_grow(**ask)[0][worker.hostname]["error"]
    assert "keeps its number of slots" in control.pool_shrink(**ask)[0][worker.hostname]["error"]


def test_a_wrong_command_is_answered_with_its_error(memory_app: Any, worker: Any) -> None:
    (unknown,) = memory_app.control.broadcast("nonsense", reply=True, limit=1)
    (wrong,) = memory_app.control.broadcast("revoke", reply=True, limit=1)

    assert "nonsense" in unknown[worker.hostname]["error"]
    assert "task_id" in wrong[worker.hostname]["error"]


FOREIGN = [
    b"\xff\x00",
    b"[]",
    b'{"properties": {}}',
    b'{"body": "", "headers": {}, "properties": {"delivery_info": 3}}',
    b'{"body": "!", "headers": {}, "properties": {"delivery_info": {"routing_key": ""}}}',
    b'{"body": 3, "headers": {}, "properties": {"delivery_info": {"routing_key": ""}, "body_encoding": "base64"}}',
]
MALFORMED = [
    "text",
    3,
    [],
    {},
    {"method": None},
    {"method": "ping", "more": 1},
    {"method": {}, "arguments": 4},
]


def test_foreign_and_malformed_commands_are_passed_over(memory_app: Any, worker: Any) -> None:
    for data in FOREIGN:
        default_runtime().pubsub("celery").publish(PIDBOX, data, raw=True)
    with memory_app.connection() as connection, connection.Producer() as producer:
        for body in MALFORMED:
            producer.publish(body, exchange=memory_app.control.mailbox.exchange, serializer="json")

    assert [{worker.hostname: {"ok": "pong"}}] == memory_app.control.ping(limit=1)


def test_a_command_that_nobody_receives_leaves_nothing(memory_app: Any) -> None:
    assert [] == memory_app.control.ping(timeout=0.1)
    assert (0, 0) == (waiting(PIDBOX), waiting(REPLIES))
    assert not listeners(REPLIES)


def test_a_reply_that_is_late_leaves_nothing(memory_app: Any, worker: Any) -> None:
    replied = threading.Event()

    @inspect_command()
    def slow(_state: Any) -> str:
        time.sleep(0.3)
        replied.set()
        return "late"

    try:
        assert [] == memory_app.control.broadcast("slow", reply=True, timeout=0.05)
        assert replied.wait(10)
        memory_app.control.ping(limit=1)  # answered after the late one
    finally:
        del Panel.data["slow"], Panel.meta["slow"]

    assert 0 == waiting(REPLIES)


def test_a_worker_that_ends_listens_no_more(memory_app: Any, serving: Any) -> None:
    with serving(memory_app):
        assert listeners(PIDBOX)

    assert not listeners(PIDBOX)
    assert not any("pidbox" in queue for queue, _, _ in memory_app.connection().channel().list_bindings())


def test_a_listener_that_was_killed_is_not_counted_for_long(
    memory_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_broadcasts, "LISTED_S", 0.2)
    _broadcasts.Listeners(default_runtime().state("celery"), PIDBOX).add("killed")

    wait_until(lambda: not listeners(PIDBOX))


def test_what_came_for_a_listener_that_left_is_removed_by_the_next(memory_app: Any, serving: Any) -> None:
    default_runtime().pubsub("celery").publish(PIDBOX, b"{}", raw=True)

    assert 1 == waiting(PIDBOX)
    with serving(memory_app):
        assert 0 == waiting(PIDBOX)


def test_remote_control_that_failed_says_so_and_begins_again(
    memory_app: Any, serving: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    listen = RemoteControl._listen
    failures = iter([MemoryError("broken")])

    def fail_once(self: Any) -> None:
        for failure in failures:
            raise failure
        listen(self)

    monkeypatch.setattr(RemoteControl, "_listen", fail_once)
    caplog.set_level("ERROR", "celery.capa.worker")
    with serving(memory_app) as worker:
        assert [{worker.hostname: {"ok": "pong"}}] == memory_app.control.ping(limit=1)
    assert "capa-control: a thread failed, it starts again" in caplog.text
    assert "MemoryError: broken" in caplog.text


def test_a_worker_without_remote_control_answers_nothing(memory_app: Any, serving: Any) -> None:
    memory_app.conf.worker_enable_remote_control = False
    with serving(memory_app):
        assert [] == memory_app.control.ping(timeout=0.1)
        assert not listeners(PIDBOX)


def test_purge_empties_the_queues(memory_app: Any) -> None:
    for _ in range(3):
        memory_app.tasks["add"].delay(1, 1)

    assert (3, 0) == (memory_app.control.purge(), memory_app.control.purge())
