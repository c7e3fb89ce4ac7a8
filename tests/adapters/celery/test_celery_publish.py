"""Messages of `delay`, `apply_async` and `send_task` in a queue."""

import datetime as dt
import json
import time
from typing import Any

import celery
import pytest
from celery import signals
from kombu import Exchange, Queue
from kombu.common import Broadcast
from kombu.exceptions import EncodeError, OperationalError

import capa_celery
from capa_celery import _codec
from capa_core import PubSub, Runtime, default_runtime, use_runtime
from capa_core.errors import (
    CapaError,
    DeadlineError,
    ExhaustedError,
    InvalidArgumentError,
    PermissionDeniedError,
    UnavailableError,
    UnsupportedError,
)

HEADERS = [
    "lang",
    "task",
    "id",
    "shadow",
    "eta",
    "expires",
    "group",
    "group_index",
    "retries",
    "timelimit",
    "root_id",
    "parent_id",
    "argsrepr",
    "kwargsrepr",
    "origin",
    "ignore_result",
    "replaced_task_nesting",
    "stamped_headers",
    "stamps",
]


def received(queue: str = "celery", broker: str = "celery") -> _codec.Envelope:
    """Take one message out of a queue of the component *broker*."""
    with default_runtime().pubsub(broker).consumer(queue, "celery", raw=True) as consumer:
        (message,) = consumer.receive(1, timeout=2)
        consumer.ack([message])
    return _codec.decode(message.data)


@pytest.fixture
def add(memory_app: Any) -> Any:
    return memory_app.tasks["add"]


def test_a_message_is_of_protocol_2(add: Any) -> None:
    result = add.delay(1, y=2)
    message = received()

    assert HEADERS == list(message.headers)
    assert (result.id, "add", "(1,)", "{'y': 2}") == tuple(
        message.headers[name] for name in ("id", "task", "argsrepr", "kwargsrepr")
    )
    empty = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    assert [[1], {"y": 2}, empty] == _codec.unpack_body(message, None)


@pytest.mark.parametrize("protocol", [1, 2])
@pytest.mark.parametrize("task_id", ["x" * 401, 7, "\ud800"])
def test_an_id_that_no_worker_takes_is_refused_at_sending(add: Any, protocol: int, task_id: Any) -> None:
    add.app.conf.task_protocol = protocol
    with pytest.raises(InvalidArgumentError, match=r"task 'add' with id .* was not sent: its id is not"):
        add.apply_async((1, 2), task_id=task_id, headers={"tenant": "t1"})
    sent = add.apply_async((1, 2), task_id="x" * 400, headers={"tenant": "t1"})

    assert ("x" * 400, 1) == (sent.id, add.app.capa.pubsub.depth("celery", "celery"))


def test_the_short_way_and_the_originals_make_the_same_message(add: Any) -> None:
    add.apply_async((1, 2), task_id="short", headers={"tenant": "t1"}, priority=3)
    add.apply_async((1, 2), task_id="long", headers={"tenant": "t1"}, priority=3, retries=0)
    short, long = received(), received()
    if short.headers["id"] == "long":
        short, long = long, short

    assert json.dumps(short.headers).replace("short", "long") == json.dumps(long.headers)
    assert _codec.unpack_body(short, None) == _codec.unpack_body(long, None)


@pytest.mark.parametrize(
    ("broker", "default"), [("redis://", 0), ("memory://", 0), ("amqp://", None), (None, None)]
)
@pytest.mark.parametrize("given", [None, 3])
def test_a_message_has_the_priority_that_kombu_gives_it(
    broker: str | None, default: int | None, given: int | None
) -> None:
    with use_runtime(Runtime.in_memory()):
        app = capa_celery.Celery("prioritised", broker=broker, set_as_current=False)
        app.send_task("add", (), priority=given)
        message = received()

    assert (default if given is None else given) == message.properties.get("priority")


def test_publishing_sends_the_signals(add: Any) -> None:
    seen: list[tuple[str, str, str]] = []

    def before(sender: str, routing_key: str, headers: dict[str, Any], **_: Any) -> None:
        headers["traced"] = "yes"
        seen.append(("before", sender, routing_key))

    def after(sender: str, routing_key: str, headers: dict[str, Any], **_: Any) -> None:
        seen.append((f"after {headers['traced']}", sender, routing_key))

    with connected(signals.before_task_publish, before), connected(signals.after_task_publish, after):
        add.delay(1, 2)

    assert [("before", "add", "celery"), ("after yes", "add", "celery")] == seen
    assert received().headers["traced"] == "yes"


@pytest.mark.parametrize("serializer", ["json", "pickle", "yaml", "msgpack"])
def test_each_serializer_brings_the_arguments_over(memory_app: Any, add: Any, serializer: str) -> None:
    if serializer == "msgpack":
        pytest.importorskip("msgpack", reason="an optional dependency of kombu")
    add.apply_async(("ä", {"b": [1, 2.5, None]}), serializer=serializer)
    message = received()
    args, _, _ = _codec.unpack_body(message, {message.content_type})

    assert ["ä", {"b": [1, 2.5, None]}] == list(args)


def test_dates_come_over_as_kombu_writes_them(add: Any) -> None:
    moment = dt.datetime(2026, 10, 25, 2, 30, tzinfo=dt.UTC)
    add.apply_async((moment, 1), headers={"moment": moment})
    message = received()

    assert (moment, moment) == (_codec.unpack_body(message, None)[0][0], message.headers["moment"])


def test_arguments_that_the_serializer_cannot_encode_are_refused(add: Any) -> None:
    with pytest.raises(EncodeError):
        add.delay(object(), 1)


def test_compression_is_named_in_the_headers(add: Any) -> None:
    add.apply_async(("x" * 5000, 1), compression="gzip")
    message = received()

    assert ("application/x-gzip", True) == (message.headers["compression"], len(message.body) < 500)
    assert "x" * 5000 == _codec.unpack_body(message, None)[0][0]


def test_protocol_1_is_understood(memory_app: Any, serving: Any) -> None:
    memory_app.conf.task_protocol = 1
    result = memory_app.send_task("add", (1, 2))
    with serving(memory_app):
        assert result.get(timeout=10) == 3


def test_routes_choose_the_queue(memory_app: Any, add: Any) -> None:
    memory_app.conf.task_routes = {"add": {"queue": "numbers"}, "fail": "failures"}
    add.delay(1, 2)
    memory_app.send_task("fail", ())

    assert ("add", "fail") == (received("numbers").headers["task"], received("failures").headers["task"])


def test_topic_exchanges_reach_the_queues_bound_to_them(memory_app: Any, add: Any) -> None:
    media = Exchange("media", type="topic")
    memory_app.conf.task_queues = [
        Queue("video", media, routing_key="media.video.#"),
        Queue("all", media, routing_key="media.*.*"),
        Queue("celery"),
    ]
    add.apply_async((1, 2), exchange="media", routing_key="media.video.mp4")

    assert ["media.video.mp4"] * 2 == [
        received(name).properties["delivery_info"]["routing_key"] for name in ("video", "all")
    ]


def test_an_exchange_without_bindings_is_refused(add: Any) -> None:
    with pytest.raises(UnsupportedError, match="`capa explain celery/exchanges`"):
        add.apply_async((1, 2), exchange="nowhere", routing_key="x")


def test_a_broadcast_queue_reaches_every_worker(memory_app: Any) -> None:
    memory_app.conf.task_queues = [Broadcast("news")]
    pubsub = default_runtime().pubsub("celery")
    consumers = [pubsub.consumer("news", raw=True, broadcast=True) for _ in range(2)]
    memory_app.tasks["add"].apply_async((1, 2), queue="news")

    assert [1, 1] == [len(consumer.receive(1, timeout=2)) for consumer in consumers]


def test_a_countdown_delays_the_message(add: Any) -> None:
    start = time.monotonic()
    add.apply_async((1, 2), countdown=0.4)
    received()

    assert time.monotonic() - start >= 0.35


def test_always_eager_publishes_nothing(memory_app: Any, add: Any) -> None:
    memory_app.conf.task_always_eager = True

    assert (3, 0) == (add.delay(1, 2).get(), default_runtime().pubsub("celery").depth("celery", "celery"))


def test_a_subclass_that_overrides_apply_async_is_called(memory_app: Any) -> None:
    class Loud(celery.Task):
        def apply_async(self, *args: Any, **options: Any) -> Any:
            return super().apply_async(*args, headers={"loud": "yes"}, **options)

    @memory_app.task(base=Loud, name="loud", shared=False)
    def loud() -> None: ...

    loud.delay()

    assert received().headers["loud"] == "yes"


def test_a_subclass_that_overrides_send_task_is_called(make_tasks: Any) -> None:
    class Counting(capa_celery.Celery):
        sent = 0

        def send_task(self, *args: Any, **options: Any) -> Any:
            self.sent += 1
            return super().send_task(*args, **options)

    with use_runtime(Runtime.in_memory()):
        app = make_tasks(Counting)
        app.tasks["add"].delay(1, 2)

    assert app.sent == 1


def test_a_replaced_send_task_of_celery_is_called(
    memory_app: Any, add: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []
    original = celery.Celery.send_task

    def wrapper(self: Any, name: str, *args: Any, **options: Any) -> Any:
        names.append(name)
        return original(self, name, *args, **options)

    monkeypatch.setattr(celery.Celery, "send_task", wrapper)
    add.delay(1, 2)

    assert names == ["add"]


def test_a_kombu_producer_of_the_application_publishes_to_capa(memory_app: Any) -> None:
    with memory_app.producer_or_acquire() as producer:
        producer.publish({"hello": 1}, routing_key="letters", exchange="", serializer="json")
    with memory_app.connection() as connection, connection.SimpleQueue("letters") as queue:
        message = queue.get(timeout=5)
        message.ack()

    assert message.payload == {"hello": 1}


@pytest.mark.parametrize("error", [UnavailableError, DeadlineError, PermissionDeniedError, ExhaustedError])
@pytest.mark.parametrize("options", [{}, {"retry": False}, {"retry_policy": {"max_retries": 1}}], ids=str)
def test_what_an_engine_refuses_is_an_operational_error(
    memory_app: Any, monkeypatch: pytest.MonkeyPatch, error: type[CapaError], options: dict[str, Any]
) -> None:
    cause = error("not now")

    def refuse(*_: Any, **__: Any) -> None:
        raise cause

    monkeypatch.setattr(PubSub, "publish", refuse)
    with pytest.raises(OperationalError, match="not now") as caught:
        memory_app.tasks["add"].apply_async((1, 2), **options)

    assert (OperationalError, cause) == (caught.type, caught.value.__cause__)


def test_an_engine_that_is_down_is_an_operational_error(make_tasks: Any) -> None:
    down = {"driver": "redis", "url": "redis://127.0.0.1:1/0", "deadline_s": 1, "retries": 0}
    with use_runtime(Runtime.in_memory({"pubsub": {"default": down}})):
        app = make_tasks(capa_celery.Celery)
        with pytest.raises(OperationalError, match="celery|default") as caught:
            app.tasks["add"].apply_async((1, 2), retry=False)

    assert OperationalError is caught.type


def test_a_legacy_address_chooses_the_component() -> None:
    settings = {
        "pubsub": {
            "default": {"driver": "memory"},
            "jobs": {"driver": "memory", "legacy": ["redis://redis.internal:6379/0"]},
        }
    }
    with use_runtime(Runtime.in_memory(settings)):
        app = capa_celery.Celery(broker="redis://redis.internal:6379/0", set_as_current=False)

        assert ("jobs", "redis://redis.internal:6379/0") == (app.capa.broker_name, app.conf.broker_url)


JOBS = {"default": {"driver": "memory"}, "jobs": {"driver": "memory", "legacy": ["redis://redis.internal"]}}


def test_an_address_may_be_a_logical_name() -> None:
    with use_runtime(Runtime.in_memory({"pubsub": JOBS})):
        app = capa_celery.Celery(broker="capa://jobs", backend="capa://results", set_as_current=False)
        app.send_task("add", (1, 2), task_id="t")
        app.backend.store_result("t", 3, "SUCCESS")

        assert "t" == received(broker="jobs").headers["id"]
        assert 3 == app.AsyncResult("t").get(timeout=5)
        assert "capa://results" == app.backend.as_uri()


class connected:  # noqa: N801 - reads as a statement
    """Connect a receiver to a signal for the length of a `with` block."""

    def __init__(self, signal: Any, receiver: Any) -> None:
        self.signal, self.receiver = signal, receiver

    def __enter__(self) -> None:
        self.signal.connect(self.receiver, weak=False)

    def __exit__(self, *_: object) -> None:
        self.signal.disconnect(self.receiver)


@pytest.mark.parametrize(
    ("broker", "name", "order"),
    [
        ("amqp://", "celery", ["9", "none", "0"]),
        ("redis://", "celery", ["none", "0", "9"]),
        ("capa://jobs", "jobs", ["none", "0", "9"]),
        ("capa://others", "others", ["9", "none", "0"]),
    ],
)
def test_priorities_mean_what_they_meant_on_the_legacy_broker(
    make_tasks: Any, broker: str, name: str, order: list[str]
) -> None:
    with use_runtime(Runtime.in_memory({"pubsub": JOBS})):
        app = make_tasks(capa_celery.Celery)
        app.conf.broker_url = broker
        for priority in ("9", "none", "0"):
            options = {} if priority == "none" else {"priority": int(priority)}
            app.tasks["add"].apply_async((priority, ""), **options)
        came = [_codec.unpack_body(received(broker=name), None)[0][0] for _ in range(3)]

    assert order == came
