"""Workers and servers killed at any moment: published messages are handled, and few of them twice."""

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
from faults.pubsub_worker import BATCH, LEASE_S, open_pubsub

from capa_core.blocks.pubsub import PubSub
from capa_core.call import Policy
from capa_core.components.redis.pubsub import RedisPubSub, RedisPubSubSettings
from capa_core.conformance._tolerance import PATIENCE_S, wait_until
from capa_core.errors import CapaError

WORKER = Path(__file__).with_name("pubsub_worker.py")
KILLS = 8
AHEAD = 500


ON_SERVERS = [
    pytest.param(name, marks=pytest.mark.server(name)) for name in ("redis", "rabbitmq", "postgres")
]


@pytest.fixture(params=["sqlite", *ON_SERVERS])
def engine(request, tmp_path):
    """Name a driver and its settings as JSON."""
    if request.param == "postgres":
        url, schema = request.getfixturevalue("postgres_url"), request.getfixturevalue("postgres_schema")
        return request.param, json.dumps({"url": url, "schema_name": schema})
    if request.param in {"redis", "rabbitmq"}:
        url = request.getfixturevalue(f"{request.param}_url")
        return request.param, json.dumps({"url": url, "prefix": f"{uuid4().hex}."})
    return "sqlite", json.dumps({"folder": str(tmp_path / "capa")})


def start_worker(engine, log):
    return subprocess.Popen([sys.executable, WORKER, *engine, "t", log])


def wait_for_growth(file):
    size = file.stat().st_size
    wait_until(lambda: file.stat().st_size > size)


@pytest.mark.timeout(120)
def test_killed_workers_lose_nothing(engine, tmp_path, record_property):
    log = tmp_path / "handled"
    log.touch()
    pubsub = open_pubsub(*engine)
    pubsub.consumer("t").close()
    workers = [start_worker(engine, log) for _ in range(2)]
    sent, done = [], threading.Event()
    publishing = threading.Thread(target=publish_until, args=(done, pubsub, sent, log))
    publishing.start()
    for _ in range(KILLS):
        wait_for_growth(log)
        time.sleep(random.uniform(0, 0.2))
        victim = workers.pop(0)
        victim.kill()
        victim.wait()
        workers.append(start_worker(engine, log))
    done.set()
    publishing.join()
    with suppress(AssertionError):  # counted below
        wait_until(lambda: set(sent) <= set(log.read_bytes().split()), patience_s=60)
    for worker in workers:
        worker.kill()
        worker.wait()
    pubsub.close()
    handled = Counter(log.read_bytes().split())
    counts = {
        "sent": len(sent),
        "delivered": handled.total(),
        "lost": len(set(sent) - set(handled)),
        "duplicated": handled.total() - len(handled),
    }
    record_property("counts", counts)
    print(engine[0], f"{KILLS} kills:", counts)

    assert 0 == counts["lost"]
    assert counts["duplicated"] <= KILLS * BATCH


def publish_until(done, pubsub, sent, log):
    """Publish as fast as is handled, with some ahead: a busy machine would not get to the end of all."""
    while not done.wait(0.05):
        if len(sent) > log.read_bytes().count(b"\n") + AHEAD:
            continue
        batch = [b"%d" % number for number in range(len(sent), len(sent) + 50)]
        pubsub.publish_many("t", batch, raw=True)
        sent += batch


@pytest.mark.timeout(60)
def test_the_messages_of_a_killed_worker_are_back_within_the_lease_and_two_seconds(engine, tmp_path):
    pubsub = open_pubsub(*engine)
    consumer = pubsub.consumer("t", raw=True, lease=LEASE_S)
    pubsub.publish_many("t", [b"1", b"2", b"3"], raw=True)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pubsub_worker import *\n"
        "consumer = open_pubsub(*sys.argv[2:]).consumer('t', raw=True, lease=LEASE_S)\n"
        "print(len(consumer.receive(3)), flush=True); consumer.receive(1, 60)"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", program, WORKER.parent, *engine], stdout=subprocess.PIPE, text=True
    )
    assert "3\n" == worker.stdout.readline()
    worker.kill()
    worker.communicate()
    killed = time.monotonic()
    back = []
    while len(back) < 3 and time.monotonic() < killed + LEASE_S + 2:
        back += consumer.receive(3, 0.5)
    pubsub.close()

    assert {b"1", b"2", b"3"} == {message.data for message in back}


@pytest.mark.server("redis")
@pytest.mark.timeout(120)
def test_a_killed_durable_server_loses_nothing(start_redis, record_property):
    server = start_redis(appendonly="yes", appendfsync="always")
    settings = RedisPubSubSettings(url=server.url, timeout_s=1)
    pubsub = PubSub(RedisPubSub(settings), policy=Policy(deadline_s=2, attempt_s=1))
    acknowledged, handled, done = [], Counter(), threading.Event()
    consumer = pubsub.consumer("t", raw=True, lease=1)

    def publish():
        while not done.is_set():
            try:
                body = b"%d" % len(acknowledged)
                pubsub.publish("t", body, raw=True)
                acknowledged.append(body)
            except CapaError:
                time.sleep(0.05)

    def handle(until):
        while not until():
            try:
                messages = consumer.receive(20, 0.2)
                handled.update(message.data for message in messages)
                consumer.ack(messages)
            except CapaError:
                time.sleep(0.05)

    publishing = threading.Thread(target=publish)
    handling = threading.Thread(target=handle, args=(done.is_set,))
    publishing.start()
    handling.start()
    for _ in range(3):
        time.sleep(random.uniform(0.3, 1.0))
        server.kill()
        time.sleep(0.2)
        server.start()
    time.sleep(0.5)
    with suppress(AssertionError):  # counted below
        wait_until(lambda: len(acknowledged) > 100)
    done.set()
    publishing.join()
    handling.join()
    end = time.monotonic() + PATIENCE_S
    handle(lambda: not set(acknowledged) - set(handled) or time.monotonic() > end)
    pubsub.close()
    counts = {
        "sent": len(acknowledged),
        "lost": len(set(acknowledged) - set(handled)),
        "duplicated": handled.total() - len(handled),
    }
    record_property("counts", counts)
    print("redis, server killed 3 times:", counts)

    assert len(acknowledged) > 100
    assert 0 == counts["lost"]


def test_a_killed_publisher_leaves_whole_messages_only(tmp_path):
    engine = "sqlite", json.dumps({"folder": str(tmp_path / "capa")})
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pubsub_worker import *\n"
        "pubsub = open_pubsub(*sys.argv[2:])\n"
        "for number in range(100_000):\n"
        "    pubsub.publish('t', b'%d' % number * 1000, raw=True, id=str(number)); print(number, flush=True)"
    )
    publisher = subprocess.Popen(
        [sys.executable, "-c", program, WORKER.parent, *engine], stdout=subprocess.PIPE, text=True
    )
    assert "0\n" == publisher.stdout.readline()
    time.sleep(random.uniform(0.2, 0.6))
    publisher.kill()
    last = int(publisher.communicate()[0].split()[-1])
    pubsub = open_pubsub(*engine)
    consumer = pubsub.consumer("t", raw=True)
    stored = {}
    while messages := consumer.receive(1_000, 0):
        stored |= {int(message.id): message.data for message in messages}
    pubsub.close()

    assert set(range(last + 1)) <= set(stored)
    assert all(data == b"%d" % number * 1000 for number, data in stored.items())
