"""SQS cut off, silent or killed, consumers killed or paused: nothing is lost, and no more comes twice than was held.

The server is ElasticMQ, an independent implementation of SQS.
"""

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

from capa_core.conformance._tolerance import PATIENCE_S
from capa_core.errors import UnavailableError

pytestmark = [
    pytest.mark.server("elasticmq"),
    pytest.mark.timeout(180),
    pytest.mark.usefixtures("aws_credentials"),
]

WORKER = Path(__file__).with_name("pubsub_worker.py")
FAULTS = 5
WINDOW = 32  # of a subscription: the most that it holds
FAST = {"settle_s": 0.1, "poll_s": 1, "timeout_s": 1}


@pytest.fixture
def settings(elasticmq_url):
    """Settings whose queues no other test has; a server that is silent is given up after a second."""
    return {"endpoint_url": elasticmq_url, "prefix": f"{uuid4().hex[:12]}-", **FAST}


def report(fault, counts, record_property):
    record_property("counts", counts)
    print(f"sqs, {fault}:", counts)


def cut(proxy, _):
    proxy.cut()


def silence(proxy, pubsub):
    """Answer nothing until a call is given up: neither side is told that the connection is broken."""
    proxy.go_silent()
    with pytest.raises(UnavailableError):
        pubsub.ping()
    proxy.speak()
    proxy.cut()


@pytest.mark.parametrize("fault", [cut, silence], ids=["cut", "silent"])
def test_a_broken_connection_loses_nothing(settings, elasticmq_url, tmp_path, record_property, fault):
    journal = Journal(tmp_path / "done")
    with TcpProxy.to(int(elasticmq_url.rpartition(":")[2])) as proxy:
        url = f"http://127.0.0.1:{proxy.port}"
        with open_pubsub("sqs", json.dumps({**settings, "endpoint_url": url})) as pubsub:
            with (
                pubsub.subscribe("t", journal.write, raw=True, max_messages=WINDOW, lease=2),
                sending(journal, pubsub),
            ):
                for _ in range(FAULTS):
                    wait_for_more(journal)
                    fault(proxy, pubsub)
                wait_for_more(journal)
            with pubsub.subscribe("t", journal.write, raw=True, max_messages=WINDOW, lease=2):
                counts = journal.counts()
    report(f"connection {fault.__name__} {FAULTS} times", counts, record_property)

    assert counts["sent"] >= MANY
    assert 0 == counts["lost"]
    assert counts["duplicated"] <= FAULTS * (WINDOW + AT_ONCE)


def test_a_message_whose_answer_took_longer_than_its_lease_is_not_taken_for_held(settings, elasticmq_url):
    """SQS counts from when it gives a message out: another consumer has it by then."""
    with TcpProxy.to(int(elasticmq_url.rpartition(":")[2])) as proxy:
        slow = {**settings, "endpoint_url": f"http://127.0.0.1:{proxy.port}", "timeout_s": 60}
        with (
            open_pubsub("sqs", json.dumps(slow)) as behind,
            open_pubsub("sqs", json.dumps(settings)) as beside,
            behind.consumer("t", lease=1) as consumer,
            beside.consumer("t", lease=60) as other,
        ):
            behind.publish("t", b"x", raw=True)
            proxy.trickle(0.002)  # an answer has some 2,000 bytes
            late = consumer.receive(1, timeout=0)
            (taken,) = other.receive(1, timeout=PATIENCE_S)
            proxy.speak()
            consumer.ack(late)

            assert [] == late
            assert [True] == other.extend([taken]), "no acknowledgement of the other has removed it"


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "paused"])
def test_a_consumer_that_stops_loses_nothing(settings, tmp_path, record_property, fault):
    """Its messages go to another after their lease; when one that was paused goes on, it acknowledges none of them."""
    journal = Journal(tmp_path / "done")
    words = ("sqs", json.dumps(settings))
    with open_pubsub(*words) as pubsub:
        pubsub.consumer("t").close()
        worker = subprocess.Popen([sys.executable, WORKER, *words, "t", journal.path])
        try:
            with sending(journal, pubsub):
                wait_for_more(journal)
                worker.send_signal(fault)
            with pubsub.subscribe("t", journal.write, raw=True, max_messages=WINDOW):
                journal.counts()
                worker.send_signal(signal.SIGCONT)
                pubsub.publish("t", b"after", raw=True)
                journal.sent.append(b"after")
                counts = journal.counts()
        finally:
            worker.kill()
            worker.wait()
        left = pubsub.depth("t")
    report(f"consumer {fault.name}", counts, record_property)

    assert 0 == counts["lost"]
    assert counts["duplicated"] <= BATCH
    assert left <= BATCH  # the worker that goes on may have taken the last one


def test_a_killed_server_loses_nothing(start_elasticmq, tmp_path, record_property):
    journal, server = Journal(tmp_path / "done"), start_elasticmq(durable=True)
    settings = {"endpoint_url": server.url, **FAST, "timeout_s": 5}
    with open_pubsub("sqs", json.dumps(settings)) as pubsub:
        with pubsub.subscribe("t", journal.write, raw=True, max_messages=WINDOW, lease=2):
            with sending(journal, pubsub):
                wait_for_more(journal)
                server.kill()
                server.start()
                wait_for_more(journal)
            counts = journal.counts()
        left = pubsub.depth("t")
    report("server killed and started again", counts, record_property)

    assert counts["sent"] >= MANY
    assert 0 == counts["lost"]
    assert counts["duplicated"] <= 2 * (WINDOW + AT_ONCE)
    assert 0 == left
