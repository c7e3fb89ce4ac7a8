"""Events: of tasks, of workers and of clients, by Celery's own dispatcher and receiver."""

import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from celery.events.state import State
from celery.worker import control
from celery_engines import in_every_pool, on_every_engine, on_one_engine
from celery_events_capture import captured
from celery_fleet import PATIENCE_S

from capa_celery import _events
from capa_celery._worker._remote import RemoteControl
from capa_core import default_runtime
from capa_core.errors import UnavailableError

NODE = "one@here"
EXCHANGE = "celeryev"


def kept() -> int:
    """Return how many events wait for nobody."""
    return default_runtime().pubsub("celery").depth(EXCHANGE, "nobody")


@pytest.mark.timeout(120)
@on_every_engine("project")
def test_a_receiver_sees_workers_and_tasks_on_each_engine(project: Any) -> None:
    app = project.app
    with captured(app) as seen:
        with project.worker("-c", "1", "-n", NODE, "-E"):
            result = app.tasks["proj.add"].delay(1, 2)
            succeeded = seen.wait_for("task-succeeded", result.id)
            beat = seen.wait_for("worker-heartbeat")
        seen.wait_for("worker-offline")

    assert ["task-received", "task-started", "task-succeeded"] == [one["type"] for one in seen.of(result.id)]
    assert (NODE, "3") == (succeeded["hostname"], succeeded["result"])
    assert {"active", "processed", "freq", "loadavg", "sw_ident"} <= beat.keys()
    assert "worker-online" in seen.types()


@pytest.mark.timeout(90)
@in_every_pool("project")
def test_events_are_sent_when_a_command_asks_for_them(project: Any, pool: str) -> None:
    app = project.app
    add = app.tasks["proj.add"]
    ask = {"reply": True, "destination": [NODE], "timeout": PATIENCE_S}
    with project.worker("-P", pool, "-c", "1", "-n", NODE), captured(app) as seen:
        before = add.delay(1, 2)
        before.get(timeout=PATIENCE_S)
        app.control.enable_events(**ask)
        between = add.delay(1, 2)
        seen.wait_for("task-succeeded", between.id)
        app.control.disable_events(**ask)
        after = add.delay(1, 2)
        after.get(timeout=PATIENCE_S)
        seen.events.clear()
        seen.wait_for("worker-heartbeat")

    assert [[], []] == [seen.of(result.id) for result in (before, after)]


@pytest.mark.parametrize(("command", "step"), [("enable_events", "events: True"), ("revoke", "reconsidered")])
def test_the_pool_knows_of_a_command_before_it_is_answered(monkeypatch: Any, command: str, step: str) -> None:
    steps: list[str] = []
    remote = RemoteControl.__new__(RemoteControl)
    remote._consumer = SimpleNamespace(
        reconsider=lambda: steps.append("reconsidered"),
        sends_task_events=True,
        served_pool=SimpleNamespace(send_task_events=lambda wanted: steps.append(f"events: {wanted}")),
    )
    monkeypatch.setitem(control.Panel.data, command, lambda state: steps.append("carried out") or "answer")

    assert remote._followed()[command](None) == "answer"
    assert steps == ["carried out", step]


def test_a_state_follows_the_events(memory_app: Any, serving: Any) -> None:
    memory_app.conf.worker_send_task_events = True
    state = State()
    with captured(memory_app) as seen, serving(memory_app) as worker:
        failed = memory_app.tasks["fail"].delay("bad")
        retried = memory_app.tasks["retry"].delay(1)
        expired = memory_app.tasks["add"].apply_async((1, 1), expires=-5)
        seen.wait_for("task-failed", failed.id)
        seen.wait_for("task-retried", retried.id)
        seen.wait_for("task-succeeded", retried.id)
        seen.wait_for("task-revoked", expired.id)
        for event in seen.events:
            state.event(event)

    assert ["FAILURE", "SUCCESS", "REVOKED"] == [
        state.tasks[one.id].state for one in (failed, retried, expired)
    ]
    assert ("ValueError('bad')", "fail") == (state.tasks[failed.id].exception, state.tasks[failed.id].name)
    assert state.workers[worker.hostname].alive


def test_a_client_sends_events_of_what_it_sends(memory_app: Any) -> None:
    memory_app.conf.task_send_sent_event = True
    with captured(memory_app) as seen:
        result = memory_app.tasks["add"].delay(1, 2)
        sent = seen.wait_for("task-sent", result.id)

    assert ("add", "(1, 2)", "celery") == (sent["name"], sent["args"], sent["queue"])


def test_a_task_sends_events_of_its_own(memory_app: Any, serving: Any) -> None:
    @memory_app.task(name="own", bind=True, shared=False)
    def own(self: Any) -> None:
        self.send_event("task-progress", percent=40)

    with captured(memory_app) as seen, serving(memory_app):
        result = own.delay()

        assert 40 == seen.wait_for("task-progress", result.id)["percent"]


def test_events_that_nobody_receives_are_sent_to_nobody(memory_app: Any, serving: Any) -> None:
    memory_app.conf.update(worker_send_task_events=True, task_send_sent_event=True)
    with serving(memory_app):
        for _ in range(3):
            memory_app.tasks["add"].delay(1, 2).get(timeout=10)
    with memory_app.events.default_dispatcher() as dispatcher:
        dispatcher.send("worker-custom")

    assert 0 == kept()


def test_a_receiver_that_left_leaves_nothing(memory_app: Any) -> None:
    with captured(memory_app), memory_app.events.default_dispatcher() as dispatcher:
        dispatcher.send("worker-custom")
    with memory_app.events.default_dispatcher() as dispatcher:
        dispatcher.send("worker-custom")

    assert 0 == kept()


def test_a_dispatcher_keeps_a_limited_number_of_events(
    memory_app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_events, "MOST_KEPT", 5)
    dispatcher = memory_app.events.Dispatcher(
        memory_app.connection(), buffer_group=["task"], buffer_limit=1000, groups=["task"]
    )
    for number in range(20):
        dispatcher.send("task-received", uuid=str(number))
    with captured(memory_app) as seen:
        dispatcher.flush()
        seen.wait_for("task-received", "4")
    dispatcher.close()

    assert [str(number) for number in range(5)] == [event["uuid"] for event in seen.events]


def test_tasks_run_while_events_cannot_be_sent(
    memory_app: Any, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory_app.conf.worker_send_task_events = True
    tried = threading.Event()

    def away(*_: Any, **__: Any) -> None:
        tried.set()
        raise UnavailableError("away")

    monkeypatch.setattr("capa_celery._transport.Channel.basic_publish", away)
    with serving(memory_app):
        assert 3 == memory_app.tasks["add"].delay(1, 2).get(timeout=10)
        assert tried.wait(10)
        assert 5 == memory_app.tasks["add"].delay(2, 3).get(timeout=10)


@pytest.mark.timeout(60)
@on_one_engine("project")
def test_the_command_line_dumps_events(project: Any) -> None:
    command = [sys.executable, "-m", "capa_celery", "-A", "proj", "events", "--dump"]
    with project.process(command) as dumper:
        project.wait_for_log(dumper, b"starting capture")
        with project.worker("-P", "solo", "-n", NODE, "-E"):
            project.wait_for_log(dumper, b"heartbeat")
            project.app.tasks["proj.add"].delay(1, 2)
            project.wait_for_log(dumper, b"task succeeded")
