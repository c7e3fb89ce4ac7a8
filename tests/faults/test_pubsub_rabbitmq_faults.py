"""RabbitMQ killed, cut off, its consumers paused: nothing is lost, and no more comes twice than was under way."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from faults.message_journal import AT_ONCE, MANY, Journal, sending, wait_for_more
from faults.pubsub_worker import BATCH, open_pubsub
from tcp_proxy import TcpProxy

pytestmark = [pytest.mark.server("rabbitmq"), pytest.mark.timeout(180)]

WORKER = Path(__file__).with_name("pubsub_worker.py")
FAULTS = 5
WINDOW = 32  # of a subscription: the most that it holds


@pytest.fixture
def settings(rabbitmq_url):
    """Settings whose topics no other test has; the broker gives up a silent client after two to three seconds."""
    return {"url": rabbitmq_url, "prefix": f"{uuid4().hex}.", "heartbeat_s": 1}


def report(fault, counts, record_property):
    record_property("counts", counts)
    print(f"rabbitmq, {fault}:", counts)


def test_a_cut_connection_loses_nothing(settings, rabbitmq_url, tmp_path, record_property):
    journal = Journal(tmp_path / "done")
    with TcpProxy.to(int(rabbitmq_url.rpartition(":")[2])) as proxy:
        url = f"amqp://127.0.0.1:{proxy.port}"
        with open_pubsub("rabbitmq", json.dumps({**settings, "url": url})) as pubsub:
            with (
                pubsub.subscribe("t", journal.write, raw=True, max_messages=WINDOW),
                sending(journal, pubsub),
            ):
                for _ in range(FAULTS):
                    wait_for_more(journal)
                    proxy.cut()
                wait_for_more(journal)
            with pubsub.subscribe("t", journal.write, raw=True, max_messages=WINDOW):
                counts = journal.counts()
    report(f"connection cut {FAULTS} times", counts, record_property)

    assert counts["sent"] >= MANY
    assert 0 == counts["lost"]
    assert counts["duplicated"] <= FAULTS * WINDOW


def test_a_consumer_paused_past_its_lease_loses_nothing(settings, tmp_path, record_property):
    """Its messages go to another; when it goes on, it acknowledges none of them."""
    journal = Journal(tmp_path / "done")
    words = ("rabbitmq", json.dumps(settings))
    with open_pubsub(*words) as pubsub:
        pubsub.consumer("t").close()
        worker = subprocess.Popen([sys.executable, WORKER, *words, "t", journal.path])
        try:
            with sending(journal, pubsub):
                wait_for_more(journal)
                worker.send_signal(signal.SIGSTOP)
            with pubsub.subscribe("t", journal.write, raw=True, max_messages=WINDOW):
                counts = journal.counts()
            worker.send_signal(signal.SIGCONT)
            pubsub.publish("t", b"after", raw=True)
            journal.sent.append(b"after")
            after = journal.counts()
        finally:
            worker.kill()
            worker.wait()
        left = pubsub.depth("t")
    report("consumer paused past its lease", after, record_property)

    assert (0, 0) == (counts["lost"], after["lost"])
    assert after["duplicated"] <= BATCH
    assert 0 == left


def test_a_killed_broker_loses_nothing(start_rabbitmq, tmp_path, record_property):
    journal, broker = Journal(tmp_path / "done"), start_rabbitmq()
    with open_pubsub("rabbitmq", json.dumps({"url": broker.url})) as pubsub:
        pubsub.consumer("t").close()
        broker.write_list_of_queues()
        with pubsub.subscribe("t", journal.write, raw=True, max_messages=WINDOW):
            with sending(journal, pubsub):
                wait_for_more(journal)
                broker.kill()
                broker.start()
                wait_for_more(journal)
            counts = journal.counts()
        left = pubsub.depth("t")
    report("broker killed and started again", counts, record_property)

    assert counts["sent"] >= MANY
    assert 0 == counts["lost"]
    assert counts["duplicated"] <= WINDOW + AT_ONCE
    assert 0 == left
