"""A setting of publishing, of results and of workers changes the same on Celery and on Capa."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import celery
import pytest
from celery import states
from celery.contrib.testing.worker import start_worker as start_celery_worker
from celery_face import messages
from kombu import Exchange, Queue
from kombu.transport.memory import Transport
from kombu.utils.encoding import ensure_bytes

import capa_celery
from capa_celery.contrib.testing.worker import start_worker as start_capa_worker
from capa_core import Runtime, use_runtime

pytestmark = pytest.mark.skipif(celery.VERSION < (5, 7), reason="some of the settings are newer")
VARYING = re.compile(
    r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}|0x[0-9a-f]+|\d{4}-\d\d-\d\d[T ][\d:.]+|gen\d+@\S+"
)
WAIT_S = 60
TOPIC = Exchange("t", type="topic")
VALUES: dict[str, Any] = {
    "result_extended": True,
    "result_serializer": "pickle",
    "task_always_eager": True,
    "task_annotations": {"add": {"priority": 4}},
    "task_compression": "zlib",
    "task_create_missing_queue_exchange_type": "fanout",
    "task_create_missing_queues": False,
    "task_default_exchange_type": "topic",
    "task_default_priority": 7,
    "task_default_queue": "main",
    "task_eager_propagates": True,
    "task_ignore_result": True,
    "task_protocol": 1,
    "task_publish_retry_policy": {"max_retries": 9},
    "task_queues": [Queue("celery", TOPIC, routing_key="a.b"), Queue("other")],
    "task_repr_maxlevels": 1,
    "task_routes": {"add": {"queue": "routed"}},
    "task_soft_time_limit": 5,
    "task_store_eager_result": True,
    "task_time_limit": 7,
    "timezone": "Europe/Oslo",
}
BEFORE = {"timezone": "Asia/Tokyo"}


@pytest.fixture(autouse=True)
def _fresh_memory() -> None:
    """All applications of Celery share what they keep in memory, so also the type of an exchange of an earlier test."""
    Transport.global_state.clear()


@pytest.mark.parametrize("name", VALUES)
def test_a_setting_changes_what_it_changes_on_celery(name: str) -> None:
    theirs, ours = (
        effects(kind, {**BEFORE, name: VALUES[name]}) for kind in (celery.Celery, capa_celery.Celery)
    )

    assert theirs == ours
    assert ours != effects(capa_celery.Celery, BEFORE)


@pytest.mark.parametrize(
    ("name", "value"),
    [("task_compression", "zlib"), ("task_default_delivery_mode", "transient"), ("task_serializer", "yaml")],
)
def test_a_setting_changes_the_message_in_the_queue_as_on_celery(name: str, value: str) -> None:
    theirs, ours = (in_the_queue(kind, {name: value}) for kind in (celery.Celery, capa_celery.Celery))

    assert theirs == ours
    assert ours != in_the_queue(capa_celery.Celery, {})


def in_the_queue(kind: type, settings: dict[str, Any]) -> list[Any]:
    """Return the type, delivery mode and compression of a message that an application with *settings* sends."""
    queue = str(uuid4())  # all applications of Celery share what they keep in memory
    with Runtime.in_memory() as runtime, use_runtime(runtime):
        app: Any = kind("twin", broker="memory://", backend="cache+memory://", set_as_current=False)
        app.conf.update(task_default_queue=queue, **settings)
        app.send_task("add", (1, 2))
        with app.connection_for_read() as connection:
            message = Queue(queue)(connection.default_channel).get(no_ack=True)
    return [message.content_type, message.properties["delivery_mode"], message.headers.get("compression")]


@pytest.mark.parametrize(
    "name",
    [
        *("task_inherit_parent_priority", "task_store_errors_even_if_ignored", "task_track_started"),
        "worker_direct",
    ],
)
def test_a_setting_changes_the_work_of_a_worker_as_on_celery(name: str) -> None:
    theirs, ours = (worked(kind, {name: True}) for kind in (celery.Celery, capa_celery.Celery))

    assert theirs == ours
    assert ours != worked(capa_celery.Celery, {})


def worked(kind: type, settings: dict[str, Any]) -> list[Any]:
    """Return what becomes of tasks in a worker of an application with *settings*, and the number of its queues."""
    start = start_capa_worker if kind is capa_celery.Celery else start_celery_worker
    with Runtime.in_memory() as runtime, use_runtime(runtime):
        app: Any = kind("twin", broker="memory://", backend="cache+memory://", set_as_current=False)
        app.conf.update(
            task_default_queue=str(uuid4()),
            worker_hijack_root_logger=False,
            broker_connection_retry_on_startup=True,
            broker_transport_options={"polling_interval": 0.01},
            **settings,
        )
        tasks = {**_tasks(app), **_tasks_of_workers(app)}
        with start(app, perform_ping_check=False, loglevel="CRITICAL", pool="solo"):
            queues = len(app.amqp.queues.consume_from)
            unheard = tasks["unheard"].delay()
            state = tasks["state"].delay().get(timeout=WAIT_S)
            priority = tasks["parent"].apply_async(priority=5).get(timeout=WAIT_S)
            return [queues, unheard.state, state, priority]


def _tasks_of_workers(app: Any) -> dict[str, Any]:
    @app.task(name="unheard", ignore_result=True, shared=False)
    def unheard() -> None:
        raise ValueError("no")

    @app.task(name="state", bind=True, shared=False)
    def state(self: Any) -> str:
        return str(self.AsyncResult(self.request.id).state)

    @app.task(name="parent", shared=False)
    def parent() -> list[Any]:
        _, sent = messages(lambda: app.send_task("state"))
        return [published["properties"].get("priority") for _, published in sent]

    return {"unheard": unheard, "state": state, "parent": parent}


def effects(kind: type, settings: dict[str, Any]) -> list[str]:
    """Return what an application with *settings* publishes, returns and stores, in words without ids and times."""
    with Runtime.in_memory() as runtime, use_runtime(runtime):
        app: Any = kind("twin", broker="memory://", backend="cache+memory://", set_as_current=False)
        app.conf.update(broker_transport_options={"polling_interval": 0.01}, **settings)
        tasks = _tasks(app)
        steps: list[Callable[[], Any]] = [
            lambda: tasks["add"].delay([[[1]]], [2]).state,
            lambda: app.send_task("add", (1, 2), countdown=60).state,
            lambda: tasks["add"].apply_async((1, 2), queue="other").state,
            lambda: tasks["fail"].apply().state,
            lambda: app.AsyncResult(tasks["add"].apply((1, 2)).id).state,
            lambda: _stored(app),
        ]
        return [VARYING.sub("…", repr(messages(lambda step=step: _outcome(step)))) for step in steps]


def _tasks(app: Any) -> dict[str, Any]:
    @app.task(name="add", shared=False)
    def add(x: Any, y: Any) -> Any:
        return x + y

    @app.task(name="fail", shared=False)
    def fail() -> None:
        raise ValueError("no")

    return {"add": add, "fail": fail}


def _outcome(step: Callable[[], Any]) -> Any:
    try:
        return step()
    except Exception as error:
        return type(error).__name__


def _stored(app: Any) -> Any:
    name = str(uuid4())  # all applications of Celery share what they keep in memory
    request = celery.app.task.Context(id=name, task="add", args=(1, 2), kwargs={}, delivery_info={})
    app.backend.store_result(name, {"a": "b"}, states.SUCCESS, request=request)
    return ensure_bytes(app.backend.get(app.backend.get_key_for_task(name)))
