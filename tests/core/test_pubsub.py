"""The portable PubSub beyond the conformance suite: checks, dead letters, spans, threads."""

import asyncio
import contextlib
import gc
import itertools
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from capa_core.abilities import BY_CORE
from capa_core.blocks.pubsub import Draft, PubSub, PubSubFeature
from capa_core.blocks.pubsub._compensation import compensated
from capa_core.blocks.pubsub._loop import HandlerLoop
from capa_core.blocks.pubsub.driver import Delivery
from capa_core.call import Policy
from capa_core.components.memory.pubsub import MemoryConsumer, MemoryPubSub, MemoryPubSubSettings
from capa_core.conformance._pubsub.suite import eventually
from capa_core.conformance._tolerance import PATIENCE_S, SLOW_MACHINE_S
from capa_core.errors import ClosedError, ExhaustedError, InvalidArgumentError, UnavailableError
from capa_core.supervision import StandardLog


class Flaky(MemoryPubSub):
    """A driver that fails *failures* times, before or after the work is done."""

    def __init__(self, *, failures=0, after=False, error=UnavailableError):
        super().__init__(MemoryPubSubSettings())
        self.failures = failures
        self.after = after
        self.error = error

    def publish(self, topic, messages):
        if not self.after:
            self._fail()
        done = super().publish(topic, messages)
        self._fail()
        return done

    def _fail(self):
        if self.failures:
            self.failures -= 1
            raise self.error("no answer")


@pytest.fixture
def pubsub():
    pubsub = PubSub(MemoryPubSub(MemoryPubSubSettings()))
    yield pubsub
    pubsub.close()


class Suspended(MemoryPubSub):
    """A driver whose first consumer is suspended when messages have come to it, until *resumed* is set."""

    def __init__(self):
        super().__init__(MemoryPubSubSettings())
        self.resumed = threading.Event()
        self._first = True

    def consume(self, topic, group, *, lease_s, temporary=False):
        consumer = super().consume(topic, group, lease_s=lease_s, temporary=temporary)
        if self._first:
            self._first, receive = False, consumer.receive

            def suspended(max_messages, timeout_s):
                deliveries = receive(max_messages, timeout_s)
                assert self.resumed.wait(PATIENCE_S)
                return deliveries

            consumer.receive = suspended
        return consumer


def test_a_publish_is_repeated_until_the_engine_answers():
    pubsub = PubSub(Flaky(failures=2), policy=Policy(backoff_s=0.001))
    consumer = pubsub.consumer("t", raw=True)
    pubsub.publish("t", b"x", raw=True)

    assert [b"x"] == [message.data for message in consumer.receive(10)]


@pytest.mark.parametrize("taken", [2, 1])
def test_a_consumer_that_was_suspended_gets_only_what_nobody_else_has(taken):
    """As SIGSTOP does it, with messages in its socket."""
    driver = Suspended()
    pubsub = PubSub(driver)
    consumer, other = (pubsub.consumer("t", raw=True, lease=1) for _ in range(2))
    pubsub.publish_many("t", [b"0", b"1"], raw=True)
    with ThreadPoolExecutor(1) as pool:
        receiving = pool.submit(consumer.receive, 2)
        assert eventually(lambda: pubsub.inspect("t").groups[0].in_flight == 2)
        elsewhere = other.receive(taken, PATIENCE_S)
        driver.resumed.set()
        received = receiving.result()

    assert [b"0", b"1"] == sorted(message.data for message in elsewhere + received)


def test_a_repeat_after_a_lost_answer_has_the_same_id():
    pubsub = PubSub(Flaky(failures=1, after=True), policy=Policy(backoff_s=0.001))
    consumer = pubsub.consumer("t", raw=True)
    ident = pubsub.publish("t", b"x", raw=True)

    assert [ident, ident] == [message.id for message in consumer.receive(10)]


def test_an_error_that_a_retry_cannot_help_is_raised_at_once():
    driver = Flaky(failures=2, error=InvalidArgumentError)
    pubsub = PubSub(driver)
    with pytest.raises(InvalidArgumentError):
        pubsub.publish("t", b"x")

    assert 1 == driver.failures


class Selective(MemoryPubSub):
    """A driver that refuses some messages as too large."""

    def publish(self, topic, messages):
        kept = [message for message in messages if b"big" not in message.data]
        super().publish(topic, kept)
        return [None if message in kept else ExhaustedError("too big") for message in messages]


def test_a_batch_returns_a_result_for_each_message():
    pubsub = PubSub(Selective(MemoryPubSubSettings()))
    consumer = pubsub.consumer("t", raw=True)
    results = pubsub.publish_many("t", [b"small", b"big", b"tiny"], raw=True)

    assert [True, False, True] == [result.ok for result in results]
    assert isinstance(results[1].error, ExhaustedError)
    assert [b"small", b"tiny"] == [message.data for message in consumer.receive(10)]


class SelectiveOneByOne(Selective):
    features = {**Selective.features, PubSubFeature.BULK: BY_CORE}


def test_a_batch_split_by_the_core_returns_the_same_results():
    pubsub = PubSub(SelectiveOneByOne(MemoryPubSubSettings()), policy=Policy(retries=0))
    results = pubsub.publish_many("t", [b"small", b"big", b"tiny"], raw=True)

    assert [True, False, True] == [result.ok for result in results]


def test_a_message_stays_when_its_dead_letter_cannot_be_published():
    driver = Flaky()
    pubsub = PubSub(driver, policy=Policy(retries=0))
    consumer = pubsub.consumer("t", raw=True, max_deliveries=1)
    pubsub.publish("t", b"x", raw=True)
    messages = consumer.receive(1)
    driver.failures = 1
    with pytest.raises(UnavailableError):
        consumer.nack(messages)

    assert 1 == pubsub.depth("t")
    assert 0 == pubsub.depth("t.dead")


def test_dead_letters_of_one_message_from_two_groups_have_two_ids(pubsub):
    consumers = [pubsub.consumer("t", group, raw=True, max_deliveries=1) for group in ("a", "b")]
    pubsub.publish("t", b"x", raw=True, id="1")
    for consumer in consumers:
        consumer.nack(consumer.receive(1))
    dead = pubsub.consumer("t.dead", raw=True).receive(2)

    assert {"1.a", "1.b"} == {message.id for message in dead}


def test_a_handled_message_is_freed_without_the_collector(pubsub):
    consumer = pubsub.consumer("t")
    pubsub.publish("t", b"x")
    gc.collect()
    gc.disable()
    try:
        (message,) = consumer.receive(1)
        consumer.ack([message])
        del message
        left = [each for each in gc.get_objects() if type(each) is Delivery]  # `isinstance` would ask proxies
    finally:
        gc.enable()

    assert [] == left


def test_a_dead_event_keeps_id_data_and_attributes(pubsub):
    consumer = pubsub.consumer("t", max_deliveries=1)
    ident = pubsub.publish("t", {"n": 1}, attributes={"tenant": "t1"})
    consumer.nack(consumer.receive(1))
    (dead,) = pubsub.consumer("t.dead").receive(1)

    assert (ident, {"n": 1}, "t1", "t") == (
        dead.id,
        dead.json(),
        dead.attributes["tenant"],
        dead.attributes["capa-dead-topic"],
    )


def test_a_malformed_event_is_delivered_raw(pubsub):
    consumer = pubsub.consumer("t")
    pubsub.publish("t", b"{broken", content_type="application/cloudevents+json", raw=True)
    (message,) = consumer.receive(1)

    assert b"{broken" == message.data


class Breaking(MemoryPubSub):
    """A driver whose consumers fail at first."""

    def consume(self, topic, group, *, lease_s, temporary=False):
        consumer = super().consume(topic, group, lease_s=lease_s, temporary=temporary)
        return BreakingConsumer(consumer)


class BreakingConsumer(MemoryConsumer):
    def __init__(self, consumer):
        self.__dict__.update(consumer.__dict__)
        self.failures = [UnavailableError("no answer"), ValueError("a bug in the driver")]

    def receive(self, max_messages, timeout_s):
        if self.failures:
            raise self.failures.pop(0)
        return super().receive(max_messages, timeout_s)


def test_a_subscription_continues_after_an_outage():
    pubsub = PubSub(Breaking(MemoryPubSubSettings()))
    seen = threading.Event()
    with pubsub.subscribe("t", lambda _: seen.set()):
        pubsub.publish("t", 1)

        assert seen.wait(5)


def test_an_exit_in_a_handler_rejects_the_message(pubsub):
    counts = []

    def handler(message):
        counts.append(message.delivery_count)
        if len(counts) == 1:
            raise SystemExit

    with pubsub.subscribe("t", handler, retry_delay=0.01):
        pubsub.publish("t", 1)
        assert eventually(lambda: len(counts) == 2)

    assert [1, 2] == counts


def test_the_delay_of_retries_does_not_double_beyond_that_of_the_component():
    counts = []
    with PubSub(MemoryPubSub(MemoryPubSubSettings(max_delay_s=1))) as pubsub:

        def handler(message):
            counts.append(message.delivery_count)
            raise ValueError

        with pubsub.subscribe("t", handler, retry_delay=0.6):
            pubsub.publish("t", 1)

            assert eventually(lambda: [1, 2, 3] == counts[:3])


def test_messages_released_behind_a_long_handler_are_not_taken_again_before_it_ends(pubsub):
    free, handled = threading.Event(), []

    def handler(message):
        handled.append(message.json())
        free.wait(20)

    pubsub.publish_many("t", [1, 2, 3])
    with pubsub.subscribe("t", handler, lease=1):
        other = pubsub.consumer("t", lease=30)
        eventually(lambda: [1] == handled)
        released = [other.receive(1, timeout=5)[0] for _ in range(2)]
        other.release(released)
        time.sleep(1)
        again = other.receive(5, timeout=0)
        other.release(again)
        free.set()

        assert [2, 3] == [message.json() for message in released]
        assert [2, 3] == [message.json() for message in again]
        assert eventually(lambda: [1, 2, 3] == handled)


def test_a_failing_settler_loses_no_message(pubsub, monkeypatch, caplog):
    monkeypatch.setattr("capa_core.supervision.RESTART_S", 0.05)
    counts, handled = [], threading.Event()

    def handler(message):
        counts.append(message.delivery_count)
        if len(counts) == 1:
            raise ValueError
        handled.set()

    with pubsub.subscribe("t", handler, lease=1) as subscription:
        intake = subscription._intake
        monkeypatch.setattr(intake, "nack", fail_once(intake.nack, SystemExit("killed")))
        pubsub.publish("t", 1)

        assert handled.wait(10)
    assert [1, 2] == counts
    assert any("killed" in record.getMessage() for record in caplog.records)
    assert 0 == pubsub.depth("t")


def fail_once(function, error):
    """Return *function*, whose first call raises *error*."""
    errors = [error]

    def call(*args):
        if errors:
            raise errors.pop()
        return function(*args)

    return call


def test_delays_between_failures_double(pubsub):
    times = []

    def handler(_):
        times.append(time.monotonic())
        if len(times) < 4:
            raise ValueError

    with pubsub.subscribe("t", handler, retry_delay=0.2):
        pubsub.publish("t", 1)
        assert eventually(lambda: len(times) == 4)

    delays = [b - a for a, b in itertools.pairwise(times)]
    assert [True] * 3 == [
        due - 0.05 < delay < due + SLOW_MACHINE_S for due, delay in zip([0.2, 0.4, 0.8], delays, strict=True)
    ]


def test_closing_ends_every_thread(pubsub):
    async def handler(message):
        pass

    before = set(threading.enumerate())
    pubsub.subscribe("t", handler, concurrency=3)
    pubsub.subscribe("t", print)
    pubsub.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(10)

    assert set() == set(threading.enumerate()) - before


def test_a_closed_consumer_raises_a_closed_error(pubsub):
    consumer = pubsub.consumer("orders")
    pubsub.close()
    with pytest.raises(ClosedError, match="orders"):
        consumer.receive()


@pytest.mark.parametrize(
    "wrong",
    [
        {"topic": "a\nb"},
        {"topic": "x" * 256},
        {"group": ""},
        {"concurrency": 0},
        {"max_messages": 0},
        {"max_deliveries": 0},
        {"retry_delay": -1},
        {"lease": "long"},
        {"handler": "not a function"},
    ],
    ids=str,
)
def test_wrong_arguments_of_a_subscription_start_nothing(pubsub, wrong):
    before = set(threading.enumerate())
    with pytest.raises(InvalidArgumentError):
        pubsub.subscribe(**{"topic": "t", "handler": print, **wrong})

    assert set() == set(threading.enumerate()) - before


@pytest.fixture
def spans(monkeypatch):
    """The recorded spans; a process can set its provider only once, so the test replaces it underneath."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter.get_finished_spans
    provider.shutdown()


@pytest.mark.parametrize("raw", [True, False])
def test_a_message_has_the_trace_of_its_publisher(pubsub, spans, raw):
    consumer = pubsub.consumer("t", raw=raw)
    ident = pubsub.publish("t", b"x", raw=raw)
    (message,) = consumer.receive(1)
    (sending,) = [span for span in spans() if span.kind.name == "PRODUCER"]

    assert f"{sending.context.trace_id:032x}" == message.traceparent.split("-")[1]
    assert ("send t", "memory", "t", ident) == (
        sending.name,
        sending.attributes["messaging.system"],
        sending.attributes["messaging.destination.name"],
        sending.attributes["messaging.message.id"],
    )


def test_a_batch_is_one_span_with_its_size(pubsub, spans):
    pubsub.publish_many("t", [Draft(data=1), 2, 3])
    (sending,) = [span for span in spans() if span.kind.name == "PRODUCER"]

    assert 3 == sending.attributes["messaging.batch.message_count"]


def test_waiting_for_messages_makes_no_spans(pubsub, spans):
    consumer = pubsub.consumer("t")
    consumer.receive(1, 0.05)

    # Threads of earlier tests may still end, and be traced; none of them receives.
    assert [] == [span.name for span in spans() if "receive" in span.name]


def test_stopping_a_loop_ends_all_waits_for_its_handlers():
    async def handler(seconds):
        await asyncio.sleep(seconds)

    def wait(loop):
        with contextlib.suppress(CancelledError):
            while True:
                loop.run(handler, 0.0001)

    for _ in range(50):
        loop = HandlerLoop("capa-test", StandardLog)
        threads = [threading.Thread(target=wait, args=[loop], daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        loop.stop()
        for thread in threads:
            thread.join(10)

        assert [False] * 3 == [thread.is_alive() for thread in threads]


def test_a_driver_with_all_abilities_is_not_wrapped():
    driver = MemoryPubSub(MemoryPubSubSettings())

    assert driver is compensated(driver)


class BrokenConnection(SelectiveOneByOne):
    """A driver whose connection breaks at the message `break`."""

    def publish(self, topic, messages):
        if messages[0].data == b"break":
            raise ConnectionResetError("gone")
        return super().publish(topic, messages)

    def name_error(self, error):
        return UnavailableError if isinstance(error, ConnectionError) else None


def test_an_interrupted_batch_keeps_the_stored_messages():
    pubsub = PubSub(BrokenConnection(MemoryPubSubSettings()))
    consumer = pubsub.consumer("t", raw=True)
    results = pubsub.publish_many("t", [b"1", b"break", b"3"], raw=True)

    assert [None, UnavailableError, UnavailableError] == [
        result.error and type(result.error) for result in results
    ]
    assert isinstance(results[1].error.__cause__, ConnectionResetError)
    assert [b"1"] == [message.data for message in consumer.receive(10)]


def test_messages_received_with_a_failing_dead_letter_are_released_at_once():
    driver = Flaky()
    pubsub = PubSub(driver, policy=Policy(retries=0))
    pubsub.publish("t", b"spent", raw=True)
    first = pubsub.consumer("t", raw=True)
    first.nack(first.receive(1))
    pubsub.publish("t", b"fresh", raw=True)
    second = pubsub.consumer("t", raw=True, max_deliveries=1)
    driver.failures = 1
    with pytest.raises(UnavailableError):
        second.receive(2, 0)

    assert [(b"fresh", 1)] == [(message.data, message.delivery_count) for message in second.receive(2, 0)]
    assert 1 == pubsub.depth("t.dead")
