"""A setting of publishing and of results changes the same on Celery and on Capa."""

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import celery
import pytest
from celery import states
from celery_face import messages
from kombu import Exchange, Queue
from kombu.utils.encoding import ensure_bytes

import capa_celery
from capa_core import Runtime, use_runtime

pytestmark = pytest.mark.skipif(celery.VERSION < (5, 7), reason="some of the settings are newer")
VARYING = re.compile(
    r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}|0x[0-9a-f]+|\d{4}-\d\d-\d\d[T ][\d:.]+|gen\d+@\S+"
)
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
