"""Redis on several servers: a master dies, is replaced by its replica, or gives a slot away; nothing is lost.

A replica may lack what its master has acknowledged just before it died. Capa cannot change that, so the kills here wait
until it has everything.
"""

import re
import threading
import time

import pytest
from faults.message_journal import MANY, Journal, sending, wait_for_more
from redis.crc import key_slot
from servers.redis_groups import wait_until_replicated

from capa_core.blocks.lock import Locks
from capa_core.blocks.pubsub import PubSub
from capa_core.blocks.state import State
from capa_core.components.redis.lock import RedisLock, RedisLockSettings
from capa_core.components.redis.pubsub import RedisPubSub, RedisPubSubSettings
from capa_core.components.redis.state import RedisState, RedisStateSettings
from capa_core.conformance._pubsub.suite import receive
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import DeadlineError, UnavailableError

pytestmark = [pytest.mark.server("redis_groups"), pytest.mark.timeout(180)]

TOPIC = "t"
WINDOW = 32
PREFIX = "x:"  # with it, the topic is on the first node


def slot_of(topic):
    return key_slot(f"{PREFIX}{{:{topic}}}".encode())


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "done")


@pytest.fixture
def open_pubsub():
    opened = []

    def open_one(**place):
        settings = RedisPubSubSettings(prefix=PREFIX, timeout_s=2, **place)
        opened.append(PubSub(RedisPubSub(settings)))
        return opened[-1]

    yield open_one
    for pubsub in opened:
        pubsub.close()


def test_nothing_is_lost_when_a_master_gives_way_to_its_replica(
    start_redis_cluster, open_pubsub, journal, record_property
):
    cluster = start_redis_cluster(replicas=1)
    pubsub = open_pubsub(url=cluster.url, cluster=True)
    with (
        pubsub.subscribe(TOPIC, journal.write, raw=True, max_messages=WINDOW),
        sending(journal, pubsub),
    ):
        wait_for_more(journal)
        cluster.fail_over()
        wait_for_more(journal)
    with pubsub.subscribe(TOPIC, journal.write, raw=True, max_messages=WINDOW):
        counts = journal.counts()
    record_property("counts", counts)

    assert slot_of(TOPIC) < 16_384 // 3
    assert counts["sent"] >= MANY
    assert 0 == counts["lost"]
    assert counts["duplicated"] <= WINDOW


def test_nothing_is_lost_when_a_node_is_killed(start_redis_cluster, open_pubsub, journal):
    cluster = start_redis_cluster(replicas=1)
    pubsub = open_pubsub(url=cluster.url, cluster=True)
    check_a_kill(cluster.nodes[0], cluster, pubsub, journal)


def test_a_cluster_that_lacks_slots_does_not_answer(start_redis_cluster, open_pubsub):
    cluster = start_redis_cluster()
    pubsub = open_pubsub(url=cluster.url, cluster=True)
    cluster.nodes[0].kill()
    wait_until(lambda: "cluster of Redis" in _refusal(pubsub))
    refusal = _refusal(pubsub)
    cluster.nodes[0].start()
    wait_until(lambda: not _refusal(pubsub))

    assert re.search(r"ping failed: the cluster of .* is down, .*redis-cli --cluster check", refusal)


def _refusal(pubsub):
    try:
        pubsub.ping()
    except UnavailableError as error:
        return str(error)
    return ""


def test_nothing_is_lost_when_a_master_behind_a_sentinel_is_killed(redis_service, open_pubsub, journal):
    pubsub = open_pubsub(url=redis_service.url, sentinels=redis_service.sentinels)
    check_a_kill(redis_service.master, redis_service, pubsub, journal)


@pytest.mark.parametrize("groups", [["default"], ["default", "slow"]], ids=["one group", "two groups"])
def test_a_promoted_replica_counts_what_is_there(start_redis, open_pubsub, groups):
    """It was not told how much the groups of its master have read."""
    master = start_redis(repl_diskless_sync_delay=0)
    before = open_pubsub(url=master.url)
    consumers = [before.consumer(TOPIC, group, raw=True) for group in groups]
    work(before, consumers[:1], 20)
    replica = start_redis(replicaof=f"127.0.0.1 {master.port}")
    wait_until_replicated(master)
    work(before, consumers[:1], 20)
    wait_until_replicated(master)
    with replica.connected() as client:
        client.replicaof("NO", "ONE")
    after = open_pubsub(url=replica.url)
    found = {each.name: each.depth for each in after.inspect(TOPIC).groups}

    assert {"default": 0, "slow": 40} == {"slow": 40, **found}
    assert found == {group: after.depth(TOPIC, group) for group in groups}


def work(pubsub, consumers, count):
    pubsub.publish_many(TOPIC, [b"x"] * count, raw=True)
    for consumer in consumers:
        messages = receive(consumer, count)
        consumer.ack(messages)
        assert count == len(messages)


def check_a_kill(master, servers, pubsub, journal):
    numbers = [b"%d" % number for number in range(200)]
    pubsub.consumer(TOPIC, raw=True).close()
    pubsub.publish_many(TOPIC, numbers[:100], raw=True)
    servers.wait_until_replicated()
    master.kill()
    publish_at_last(pubsub, numbers[100:])
    journal.sent += numbers
    with pubsub.subscribe(TOPIC, journal.write, raw=True):
        counts = journal.counts()

    assert (200, 0) == (counts["sent"], counts["lost"])


def publish_at_last(pubsub, numbers):
    """Publish again and again until there is a master."""
    end = time.monotonic() + 60
    while True:
        try:
            pubsub.publish_many(TOPIC, numbers, raw=True)
        except (UnavailableError, DeadlineError):
            assert time.monotonic() < end
        else:
            return


def test_nothing_is_lost_or_twice_when_a_slot_moves_under_load(
    start_redis_cluster, open_pubsub, journal, record_property
):
    """One key after another, as an operator's tool moves it: no script sees one half of them."""
    cluster = start_redis_cluster()
    pubsub = open_pubsub(url=cluster.url, cluster=True)
    with (
        pubsub.subscribe(TOPIC, journal.write, raw=True, max_messages=WINDOW),
        sending(journal, pubsub),
    ):
        wait_for_more(journal)
        moved = list(cluster.move(slot_of(TOPIC)))
        wait_for_more(journal)
    with pubsub.subscribe(TOPIC, journal.write, raw=True, max_messages=WINDOW):
        counts = journal.counts()
    record_property("counts", counts)

    assert len(moved) >= 12  # ten streams, the groups and the wake
    assert counts["sent"] >= MANY
    assert (0, 0) == (counts["lost"], counts["duplicated"])


def test_state_and_locks_are_used_while_their_slots_move(start_redis_cluster):
    cluster = start_redis_cluster()
    place = {"url": cluster.url, "cluster": True, "prefix": "{one}:"}
    state, locks = (
        State(RedisState(RedisStateSettings(**place))),
        Locks(RedisLock(RedisLockSettings(**place))),
    )
    began, over, failures = threading.Event(), threading.Event(), []

    def use():
        while not over.is_set():
            try:
                state.put_many({"a": b"1", "b": b"2"})
                assert {"a": b"1", "b": b"2"} == state.get_many(["a", "b", "none"])
                with locks.lock("l"):
                    state.increment("n")
                began.set()
            except Exception as error:
                failures.append(error)

    with state, locks:
        thread = threading.Thread(target=use)
        thread.start()
        began.wait(30)
        moved = [key for key in cluster.move(key_slot(b"one")) if not over.wait(0.01)]
        over.set()
        thread.join()

        assert [] == failures
        assert len(moved) >= 4
        assert state.increment("n") > 1
