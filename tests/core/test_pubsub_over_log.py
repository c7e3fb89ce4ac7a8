"""A queue over a log, beyond the conformance suite: progress, commits, owners, records."""

import gc
import itertools
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_queues import MemoryLogPubSub

from capa_core.abilities import How
from capa_core.blocks.log import AssignmentListener, Commit, Log, OutgoingRecord, Partition, Start
from capa_core.blocks.pubsub import PubSub, PubSubFeature
from capa_core.blocks.pubsub.over_log import _consumer
from capa_core.blocks.pubsub.over_log._codec import retry_topic
from capa_core.blocks.pubsub.over_log._held import Entry
from capa_core.blocks.pubsub.over_log._progress import Progress
from capa_core.components.memory.log import MemoryLog, MemoryLogSettings
from capa_core.errors import UnavailableError


@pytest.fixture
def driver():
    return MemoryLogPubSub(MemoryLogSettings(partitions=1))


@pytest.fixture
def pubsub(driver):
    with PubSub(driver) as pubsub:
        yield pubsub


def committed(driver, topic, group="default"):
    return [commit.offset for commit in driver.log.committed(topic, group).values()]


def bodies(messages):
    return [message.data for message in messages]


def drain(consumer, count, timeout_s=5.0):
    end, messages = time.monotonic() + timeout_s, []
    while len(messages) < count and time.monotonic() < end:
        messages += consumer.receive(count, 0.1)
    return messages


# Progress


@given(st.lists(st.integers(0, 30), max_size=60), st.integers(0, 5))
def test_the_low_water_mark_is_the_first_offset_that_is_not_finished(finished, low):
    progress = Progress(Commit(low))
    for offset in finished:
        progress.finish(offset)
    done = {*range(low), *finished}

    assert next(offset for offset in itertools.count() if offset not in done) == progress.low
    assert [offset in done for offset in range(40)] == [progress.is_done(offset) for offset in range(40)]
    assert len([offset for offset in done if offset >= progress.low]) == progress.done_from(0)


@given(st.sets(st.integers(0, 50)), st.dictionaries(st.integers(0, 50), st.integers(1, 9)))
def test_the_next_owner_reads_finished_messages_and_counts_from_the_note(finished, counts):
    before = Progress(Commit(0))
    before.counts = dict(counts)
    for offset in finished:
        before.finish(offset)
    after = Progress(before.commit())

    assert (before.low, before.counts) == (after.low, after.counts)
    assert [before.is_done(offset) for offset in range(60)] == [after.is_done(offset) for offset in range(60)]


def test_a_note_stays_within_its_limit():
    progress = Progress(Commit(0))
    for offset in range(1, 10_000, 2):
        progress.finish(offset)
    after = Progress(progress.commit())

    assert 3_900 < len(progress.commit().note) <= 4_000
    assert 0 < after.done_from(0) < progress.done_from(0)


def test_the_counts_of_a_large_batch_fit_into_the_note():
    progress = Progress(Commit(0))
    for offset in range(10_000):
        progress.count(offset, 1)

    assert progress.counts == Progress(progress.commit()).counts


def test_the_note_of_another_client_is_ignored():
    assert Progress(Commit(7, "consumer-1@host")).commit() == Commit(7)


def test_offsets_without_a_record_count_as_finished():
    progress = Progress(Commit(0))
    progress.fetched(0)
    progress.fetched(5)
    progress.finish(0)

    assert 5 == progress.low


# Commits


def test_a_commit_never_passes_an_unfinished_message(driver, pubsub):
    consumer = pubsub.consumer("t", raw=True)
    pubsub.publish_many("t", [b"0", b"1", b"2"], raw=True)
    first, second, third = drain(consumer, 3)
    consumer.ack([second, third])
    held = committed(driver, "t")
    consumer.ack([first])

    assert ([0], [3]) == (held, committed(driver, "t"))


def test_a_crash_repeats_only_unfinished_messages(driver, pubsub):
    consumer = pubsub.consumer("t", raw=True, lease=1)
    pubsub.publish_many("t", [b"0", b"1", b"2"], raw=True)
    messages = drain(consumer, 3)
    consumer.ack(messages[1:])
    del consumer  # without a close, as a killed process
    again = drain(pubsub.consumer("t", raw=True), 1)

    assert [(b"0", 2)] == [(message.data, message.delivery_count) for message in again]


def test_a_rejected_message_does_not_hold_the_commit(driver, pubsub):
    consumer = pubsub.consumer("t", raw=True)
    pubsub.publish("t", b"x", raw=True)
    consumer.nack(drain(consumer, 1), 60)

    assert [1] == committed(driver, "t")
    assert 1 == pubsub.depth("t")
    assert 1 == sum(Log(driver.log).lag(retry_topic("t", "default")).values())


def test_a_commit_of_another_client_past_the_end_gives_no_negative_depth(driver, pubsub):
    pubsub.publish("t", b"1")
    driver.log.create_group("t", "default", Start.BEGINNING)
    other = driver.log.consume(["t"], "default", AssignmentListener(), session_s=30.0, yield_s=None)
    other.poll(1, 5.0)
    other.commit({Partition("t", 0): Commit(1000)})

    assert 0 == pubsub.depth("t")
    assert 0 == sum(Log(driver.log).lag("t").values())


def test_a_message_with_a_key_waits_in_its_place(driver, pubsub):
    consumer = pubsub.consumer("t", raw=True)
    for number in range(3):
        pubsub.publish("t", b"%d" % number, key="k", raw=True)
    consumer.nack(drain(consumer, 1), 0.3)
    meanwhile = consumer.receive(3, 0)
    again = drain(consumer, 1)
    consumer.ack(again)

    assert ([], [b"0"], [b"1"]) == (meanwhile, bodies(again), bodies(drain(consumer, 1)))
    assert [1] == committed(driver, "t")


# Owners and deliveries


def test_a_finished_message_is_let_go_before_its_lease_would_end(pubsub):
    consumer = pubsub.consumer("t", raw=True, lease=3600)
    pubsub.publish("t", b"let go", raw=True)
    consumer.ack(drain(consumer, 1))
    gc.collect()
    entries = [each for each in gc.get_objects() if type(each) is Entry]

    assert [] == [each for each in entries if each.record.value == b"let go"]


def test_a_rejected_message_stays_until_its_copy_is_stored(driver, pubsub, monkeypatch):
    consumer = pubsub.consumer("t", raw=True)
    pubsub.publish("t", b"x", raw=True)
    messages = drain(consumer, 1)
    with monkeypatch.context() as broken:
        broken.setattr(driver.log, "append", _unavailable)
        with pytest.raises(UnavailableError):
            consumer.nack(messages)
    kept = committed(driver, "t")
    consumer.nack(messages)
    (again,) = drain(consumer, 1)

    assert ([0], 2) == (kept, again.delivery_count)


def test_an_ack_whose_commit_fails_is_committed_by_its_retry(driver, pubsub, monkeypatch):
    consumer = pubsub.consumer("t", raw=True)
    pubsub.publish("t", b"x", raw=True)
    messages = drain(consumer, 1)
    group = consumer._driver._consumer._consumer
    with monkeypatch.context() as broken:
        broken.setattr(group._consumer, "commit", _unavailable)
        with pytest.raises(UnavailableError):
            group.ack([message.delivery.receipt for message in messages])
    before = committed(driver, "t")
    group.ack([message.delivery.receipt for message in messages])

    assert ([0], [1]) == (before, committed(driver, "t"))


def test_messages_that_cannot_be_counted_are_not_hidden(driver, pubsub, monkeypatch):
    consumer = pubsub.consumer("t", raw=True)
    pubsub.publish("t", b"x", raw=True)
    group = consumer._driver._consumer._consumer
    with monkeypatch.context() as broken:
        broken.setattr(group._consumer, "commit", _unavailable)
        with pytest.raises(UnavailableError):
            consumer.receive(1, 1)

    assert [1] == [message.delivery_count for message in drain(consumer, 1)]


def test_a_failing_rebalance_loses_no_record(driver, pubsub, monkeypatch):
    """The committed progress cannot be read at first."""
    consumer = pubsub.consumer("t", raw=True)
    pubsub.publish("t", b"x", raw=True)
    with monkeypatch.context() as broken:
        broken.setattr(driver.log, "committed", _unavailable)
        with pytest.raises(UnavailableError):
            consumer.receive(1, 1)

    assert [b"x"] == bodies(drain(consumer, 1))


def _unavailable(*_, **__):
    raise UnavailableError("no answer")


def test_a_handler_longer_than_its_lease_keeps_its_partition(driver):
    """Another consumer joins meanwhile, and the only partition is worked on."""
    pubsub = PubSub(driver)
    runs, done = [], threading.Event()

    def handler(message):
        runs.append(message.data)
        done.wait(2.5)

    pubsub.subscribe("t", handler, lease=1, raw=True)
    pubsub.publish("t", b"x", raw=True)
    while not runs:
        time.sleep(0.01)
    pubsub.subscribe("t", handler, lease=1, raw=True)
    done.wait(2.5)
    pubsub.close()

    assert [b"x"] == runs
    assert [1] == committed(driver, "t")


def test_delayed_messages_do_not_block_the_move_of_a_partition():
    """The owner has fetched messages of both retry partitions that are due in an hour."""
    driver = MemoryLogPubSub(MemoryLogSettings(partitions=2))
    with PubSub(driver) as pubsub:
        first, second = (driver.consume("t", "default", lease_s=30) for _ in range(2))
        pubsub.publish_many("t", [b"1", b"2"], raw=True)
        first.nack([delivery.receipt for delivery in first.receive(2, 5) + first.receive(2, 0.1)], 3600)
        first.receive(1, 0.1)
        end = time.monotonic() + 5
        while time.monotonic() < end and not retry_partitions(second):
            for consumer in (second, first):
                consumer.receive(1, 0.02)

        assert [1, 1] == [len(retry_partitions(consumer)) for consumer in (first, second)]
        assert 2 == pubsub.depth("t")


def retry_partitions(consumer):
    own = retry_topic("t", "default")
    return [partition for partition in consumer._source.assignment() if partition.topic == own]


def test_losing_a_partition_loses_the_leases_of_its_messages(driver, pubsub):
    first = pubsub.consumer("t", raw=True, lease=1)
    pubsub.publish("t", b"x", raw=True)
    held = drain(first, 1)
    found = drain(pubsub.consumer("t", raw=True, lease=30), 1)

    assert [b"x"] == bodies(found)
    assert [False] == first.extend(held)


def test_a_consumer_fetches_no_more_than_it_may_hold(driver, pubsub, monkeypatch):
    monkeypatch.setattr(_consumer, "MOST_HELD", 5)
    consumer = pubsub.consumer("t", raw=True)
    pubsub.publish_many("t", [b"x"] * 8, raw=True)
    held = consumer.receive(10, 0.3)
    nothing = consumer.receive(10, 0.3)
    consumer.ack(held)

    assert (5, [], 3) == (len(held), nothing, len(drain(consumer, 3)))


# Names and records


def test_each_group_of_each_topic_has_a_retry_topic_of_its_own():
    names = [
        ("a.b", "c"), ("a", "b.c"), ("a", "b"), ("ab", ""), ("x" * 255, "y" * 255), ("x" * 255, "z" * 255)
    ]  # fmt: skip
    topics = {retry_topic(topic, group) for topic, group in names}

    assert len(names) == len(topics)
    assert 255 >= max(map(len, topics))


def test_a_record_of_another_client_is_a_message(driver, pubsub):
    consumer = pubsub.consumer("t", raw=True)
    driver.log.append("t", [OutgoingRecord(b"x", b"\xff", {"h": b"v"})])
    (message,) = drain(consumer, 1)

    assert ("0-0", b"x", "application/octet-stream", {"h": "v"}) == (
        message.id,
        message.data,
        message.content_type,
        dict(message.attributes),
    )


def test_an_attribute_may_have_any_name(pubsub):
    attributes = {"capa.id": "mine", "capa.attribute.x": "y", "plain": "z"}
    consumer = pubsub.consumer("t", raw=True)
    pubsub.publish("t", b"x", raw=True, id="its own", attributes=attributes)
    consumer.nack(drain(consumer, 1))
    (message,) = drain(consumer, 1)

    assert ("its own", attributes) == (message.id, dict(message.attributes))


def test_settings_and_abilities_are_those_of_the_log():
    features = MemoryLogPubSub.features

    assert MemoryLogSettings is MemoryLogPubSub.settings_type
    assert How.ABSENT is features[PubSubFeature.DURABLE].how
    assert set(PubSubFeature) == set(features)
    assert MemoryLog is MemoryLogPubSub.log_type
