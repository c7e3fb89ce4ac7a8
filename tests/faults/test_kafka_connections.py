"""Connections to Kafka cut and silent: its clients go where it tells them, so that it must tell them of the proxy."""

import time

import pytest
from faults.message_journal import AT_ONCE, MANY, Journal, sending, wait_for_more
from servers._process import free_port
from tcp_proxy import TcpProxy

from capa_core.blocks.pubsub import PubSub
from capa_core.components.kafka.pubsub import KafkaPubSub

pytestmark = [pytest.mark.server("kafka"), pytest.mark.timeout(180)]

FAULTS = 3
WINDOW = 32  # of a subscription: the most that it holds
TIMEOUT_S = 3


def test_broken_connections_lose_nothing(start_kafka, tmp_path, record_property):
    """They are cut, and at last nothing answers for a while: neither side is told that they are broken."""
    journal, port = Journal(tmp_path / "done"), free_port()
    with TcpProxy.to(port) as proxy:
        start_kafka(port=port, advertised_port=proxy.port)
        url = f"kafka://127.0.0.1:{proxy.port}"
        settings = KafkaPubSub.settings_type(url=url, timeout_s=TIMEOUT_S, partitions=4)
        with PubSub(KafkaPubSub(settings)) as pubsub:
            with (
                pubsub.subscribe("t", journal.write, raw=True, max_messages=WINDOW, lease=10),
                sending(journal, pubsub),
            ):
                for _ in range(FAULTS):
                    wait_for_more(journal)
                    proxy.cut()
                wait_for_more(journal)
                proxy.go_silent()
                time.sleep(TIMEOUT_S + 0.5)
                proxy.speak()
                proxy.cut()
                wait_for_more(journal)
            with pubsub.subscribe("t", journal.write, raw=True, max_messages=WINDOW):
                counts = journal.counts()
    record_property("counts", counts)
    print("kafka, connections:", counts)

    assert counts["sent"] >= MANY
    assert 0 == counts["lost"]
    assert counts["duplicated"] <= (FAULTS + 1) * (WINDOW + AT_ONCE)
