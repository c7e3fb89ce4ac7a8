"""The same steps on kombu's own in-memory transport and on Capa end in the same results, or the same errors."""

from collections.abc import Callable, Iterator
from typing import Any

import kombu.transport.memory
import pytest
from kombu import Consumer, Exchange, Producer, Queue
from kombu.common import collect_replies, eventloop, maybe_declare, send_reply
from kombu.mixins import ConsumerMixin, ConsumerProducerMixin
from kombu.pidbox import Mailbox
from kombu.pools import connections, producers, reset

import capa_kombu
from capa_core import Runtime, use_runtime

Steps = Callable[[Any, str], Any]
OPTIONS = {"polling_interval": 0.01}
SHORT_S = 0.05


def _drained(connection: Any, most: int = 20) -> int:
    """Deliver what waits, and return how many messages that were."""
    for count in range(most):
        try:
            connection.drain_events(timeout=SHORT_S)
        except TimeoutError:
            return count
    return most


def put_and_get(connection: Any, name: str) -> Any:
    with connection.SimpleQueue(name) as queue:
        queue.put({"n": 1}, headers={"x": 1})
        queue.put("two")
        first, second = queue.get(timeout=5), queue.get(timeout=5)
        waiting = queue.qsize()
        first.ack()
        second.ack()
        return first.payload, second.payload, first.headers, waiting, queue.qsize()


def get_nothing(connection: Any, name: str) -> Any:
    queue = connection.SimpleQueue(name)
    outcomes = []
    for arguments in ({"block": False}, {"timeout": SHORT_S}):
        try:
            queue.get(**arguments)
        except queue.Empty:
            outcomes.append("empty")
    return outcomes, len(queue), bool(queue), queue.clear()


def buffer(connection: Any, name: str) -> Any:
    queue = connection.SimpleBuffer(name)
    for number in range(3):
        queue.put(number)
    return queue.get(timeout=5).payload, queue.get_nowait().payload, queue.clear(), queue.qsize()


def requeue_and_reject(connection: Any, name: str) -> Any:
    queue = connection.SimpleQueue(name)
    queue.put("x")
    queue.get(timeout=5).requeue()
    again = queue.get(timeout=5)
    again.reject()
    return again.payload, again.acknowledged, queue.qsize(), _drained(connection)


def settle_twice(connection: Any, name: str) -> Any:
    queue = connection.SimpleQueue(name)
    queue.put("x")
    message = queue.get(timeout=5)
    message.ack()
    message.ack()


def recover(connection: Any, name: str) -> Any:
    channel = connection.channel()
    queue = Queue(name, Exchange(name), name)(channel)
    queue.declare()
    for number in range(2):
        Producer(channel).publish(number, exchange=name, routing_key=name)
    assert [queue.get() is not None for _ in range(3)] == [True, True, False]
    channel.basic_recover(requeue=True)
    return sorted(queue.get(no_ack=True).payload for _ in range(2)), queue.get()


def prefetch(connection: Any, name: str) -> Any:
    seen: list[Any] = []
    queue = Queue(name, Exchange(name), name)
    with Consumer(connection, queue, callbacks=[lambda body, message: seen.append(message)]) as consumer:
        consumer.qos(prefetch_count=2)
        for number in range(4):
            connection.Producer().publish(number, exchange=name, routing_key=name)
        counts = [_drained(connection)]
        seen[0].ack()
        counts.append(_drained(connection))
        return counts, [message.payload for message in seen]


def no_ack(connection: Any, name: str) -> Any:
    seen: list[Any] = []
    queue = Queue(name, Exchange(name), name)
    with Consumer(connection, queue, no_ack=True, on_message=lambda message: seen.append(message.payload)):
        connection.Producer().publish("x", exchange=name, routing_key=name)
        return _drained(connection), seen


def direct(connection: Any, name: str) -> Any:
    exchange = Exchange(name, "direct")
    queues = [Queue(f"{name}.{key}", exchange, key)(connection) for key in ("a", "b", "a")]
    for queue in queues:
        queue.declare()
    for key in ("a", "b", "elsewhere"):
        connection.Producer().publish(key, exchange=exchange, routing_key=key)
    return [queue.get(no_ack=True).payload for queue in queues[:2]], [queue.get() for queue in queues]


def topic(connection: Any, name: str) -> Any:
    exchange = Exchange(name, "topic")
    keys = ("stock.us.*", "stock.#", "*.*.nyse", "#", "stock.eu")
    queues = [Queue(f"{name}.{number}", exchange, key)(connection) for number, key in enumerate(keys)]
    for queue in queues:
        queue.declare()
    for key in ("stock.us.nyse", "stock.eu", "bond.us.nyse", "other"):
        connection.Producer().publish(key, exchange=exchange, routing_key=key)
    return [_all_of(queue) for queue in queues]


def _all_of(queue: Any) -> list[Any]:
    return sorted(message.payload for message in iter(lambda: queue.get(no_ack=True), None))


def fanout(connection: Any, name: str) -> Any:
    exchange = Exchange(name, "fanout")
    queues = [Queue(f"{name}.{number}", exchange)(connection) for number in range(3)]
    for queue in queues:
        queue.declare()
    connection.Producer().publish("news", exchange=exchange, routing_key="ignored")
    return [_all_of(queue) for queue in queues]


def bind_twice(connection: Any, name: str) -> Any:
    first, second = Exchange(f"{name}.1"), Exchange(f"{name}.2", "topic")
    bindings = [kombu.binding(first, "a"), kombu.binding(second, "b.*")]
    queue = Queue(name, bindings=bindings)(connection)
    for exchange in (first, second):
        exchange(connection).declare()
    queue.declare()
    connection.Producer().publish(1, exchange=first, routing_key="a")
    connection.Producer().publish(2, exchange=second, routing_key="b.c")
    found = _all_of(queue)
    queue.unbind_from(first, "a")
    connection.Producer().publish(3, exchange=first, routing_key="a")
    return found, _all_of(queue)


def default_exchange(connection: Any, name: str) -> Any:
    connection.Producer().publish("direct", routing_key=name)
    return connection.default_channel.basic_get(name, no_ack=True).payload


def purge_and_delete(connection: Any, name: str) -> Any:
    queue = Queue(name, Exchange(name), name)(connection)
    queue.declare()
    for number in range(3):
        connection.Producer().publish(number, exchange=name, routing_key=name)
    size = queue.queue_declare(passive=True).message_count
    purged = queue.purge()
    queue.delete()
    return size, purged, connection.default_channel.basic_get(name)


def passive_queue(connection: Any, name: str) -> Any:
    Queue(name, channel=connection.default_channel).queue_declare(passive=True)


def passive_exchange(connection: Any, name: str) -> Any:
    Exchange(name, channel=connection.default_channel).declare(passive=True)


def another_exchange(connection: Any, name: str) -> Any:
    Exchange(name, "direct", channel=connection.default_channel).declare()
    Exchange(name, "topic", channel=connection.default_channel).declare()


def generated_name(connection: Any, name: str) -> Any:
    return connection.default_channel.queue_declare().queue.startswith("amq.gen-")


def serializers(connection: Any, name: str) -> Any:
    queue = connection.SimpleQueue(name)
    for serializer, compression in (("json", None), ("json", "zlib"), ("pickle", None), ("raw", None)):
        queue.put(b"raw" if serializer == "raw" else [1, "ä"], serializer=serializer, compression=compression)
    outcomes = []
    for message in (queue.get_nowait() for _ in range(4)):
        try:
            outcomes.append((message.content_type, message.payload))
        except kombu.exceptions.ContentDisallowed as error:
            outcomes.append((message.content_type, type(error)))
        message.ack()
    return outcomes


def properties(connection: Any, name: str) -> Any:
    queue = connection.SimpleQueue(name)
    queue.put("x", correlation_id="c", reply_to="r", priority=3, headers={"h": [1]}, expiration=60)
    message = queue.get(timeout=5)
    kept = {key: message.properties[key] for key in ("correlation_id", "reply_to", "priority", "expiration")}
    info = {key: message.delivery_info[key] for key in ("exchange", "routing_key")}
    return kept, info == {"exchange": name, "routing_key": name}, message.properties["delivery_mode"]


def mixin(connection: Any, name: str) -> Any:
    seen: list[Any] = []

    class Worker(ConsumerMixin):
        def __init__(self) -> None:
            self.connection = connection

        def get_consumers(self, consumer: Any, channel: Any) -> list[Any]:
            return [consumer([Queue(name, Exchange(name), name)], callbacks=[self.work])]

        def work(self, body: Any, message: Any) -> None:
            seen.append(body)
            message.ack()
            self.should_stop = len(seen) == 3

    worker = Worker()
    queue = connection.SimpleQueue(name)
    for number in range(3):
        queue.put(number)
    for _ in worker.consume(limit=None, timeout=5):
        pass
    return seen, worker.should_stop


def producing_mixin(connection: Any, name: str) -> Any:
    class Worker(ConsumerProducerMixin):
        def __init__(self) -> None:
            self.connection = connection

        def get_consumers(self, consumer: Any, channel: Any) -> list[Any]:
            return [consumer(Queue(name, Exchange(name), name), on_message=self.work)]

        def work(self, message: Any) -> None:
            self.producer.publish(message.payload * 2, routing_key=f"{name}.replies")
            message.ack()
            self.should_stop = True

    connection.SimpleQueue(name).put(21)
    worker = Worker()
    worker.run()
    return connection.default_channel.basic_get(f"{name}.replies", no_ack=True).payload


def pools(connection: Any, name: str) -> Any:
    with connections[connection].acquire(block=True) as pooled:
        pooled.SimpleQueue(name).put("a")
    with producers[connection].acquire(block=True) as producer:
        producer.publish("b", exchange=name, routing_key=name, retry=True, declare=[Exchange(name)])
    queue = connection.SimpleQueue(name)
    found = [queue.get(timeout=5).payload for _ in range(2)]
    reset()  # a closed pool would stay the one of all connections like this one
    return found, pooled.__class__.__name__, isinstance(pooled, kombu.Connection)


def loop(connection: Any, name: str) -> Any:
    seen: list[Any] = []
    queue = Queue(name, Exchange(name), name)
    with connection.Consumer(queue, callbacks=[lambda body, message: (seen.append(body), message.ack())]):
        for number in range(3):
            connection.Producer().publish(number, exchange=name, routing_key=name)
        for _ in eventloop(connection, limit=3, timeout=5):
            pass
    return seen


def replies(connection: Any, name: str) -> Any:
    channel = connection.default_channel
    exchange = Exchange(f"{name}.replies", "direct", channel=channel)
    mine = Queue(f"{name}.mine", exchange, f"{name}.mine", channel=channel, auto_delete=True)
    asked = connection.SimpleQueue(name)
    maybe_declare(mine, channel)
    asked.put(["question"], reply_to=mine.name, correlation_id="1")
    send_reply(exchange, asked.get(timeout=5), {"answer": 42}, producer=connection.Producer())
    return list(collect_replies(connection, channel, mine, timeout=5, limit=1))


def mailbox(connection: Any, name: str) -> Any:
    box = Mailbox(name, type="direct", connection=connection)
    node = box.Node("worker", channel=connection.channel(), state=None)
    node.handlers["add"] = lambda state, x, y: x + y
    with node.listen() as consumer:
        consumer.callbacks[:] = [node.handle_message]
        box._publish(
            "add", {"x": 1, "y": 2}, destination=["worker"], reply_ticket="t", channel=connection.channel()
        )
        reply = Queue(f"{box.oid}.{box.reply_exchange.name}", box.reply_exchange, box.oid, auto_delete=True)
        reply(connection.default_channel).declare()
        connection.drain_events(timeout=5)
        return reply(connection.default_channel).get(no_ack=True).payload


def nothing_to_drain(connection: Any, name: str) -> Any:
    with connection.Consumer(Queue(name, Exchange(name), name)):
        connection.drain_events(timeout=SHORT_S)


def facts(connection: Any, name: str) -> Any:
    connection.connect()
    return (
        connection.as_uri(),
        connection.connected,
        connection.supports_heartbeats,
        connection.heartbeat_check(),
        connection.get_heartbeat_interval(),
        connection.is_evented,
        connection.supports_exchange_type("topic"),
        connection.virtual_host,
        connection.info(),
        connection.clone().info(),
        connection.ensure_connection(max_retries=1) is connection,
        repr(connection).partition(" at ")[0],
    )


def closed(connection: Any, name: str) -> Any:
    channel = connection.default_channel
    connection.release()
    again = connection.default_channel
    return channel.closed, again.closed, again is channel


SCENARIOS: list[Steps] = [
    *(put_and_get, get_nothing, buffer, requeue_and_reject, settle_twice, recover, prefetch, no_ack),
    *(direct, topic, fanout, bind_twice, default_exchange, purge_and_delete, passive_queue, passive_exchange),
    *(another_exchange, generated_name, serializers, properties, mixin, producing_mixin, pools, loop),
    *(replies, mailbox, nothing_to_drain, facts, closed),
]


@pytest.fixture
def capa() -> Iterator[None]:
    with Runtime.in_memory() as runtime, use_runtime(runtime):
        yield


def _outcome(kind: type, steps: Steps) -> Any:
    name = "twin"
    with kind("memory://", transport_options=OPTIONS) as connection:
        try:
            return steps(connection, name)
        except Exception as error:
            return type(error), getattr(error, "reply_code", None)


@pytest.mark.usefixtures("capa")
@pytest.mark.parametrize("steps", SCENARIOS, ids=lambda steps: steps.__name__)
def test_the_outcome_is_that_of_kombu(steps: Steps) -> None:
    theirs = kombu.transport.memory.Transport
    theirs.global_state.clear()
    theirs.Channel.queues.clear()

    assert _outcome(kombu.Connection, steps) == _outcome(capa_kombu.Connection, steps)
