"""Subscriptions whose connections are cut, or go silent: they go on, and nothing is lost."""

import time
from uuid import uuid4

import pytest
from faults.message_journal import AT_ONCE, MANY, Journal, sending, wait_for_more
from reliability.engine import engines
from reliability.programs.capa import open_pubsub
from reliability.sides import LEASE_S
from tcp_proxy import TcpProxy

pytestmark = pytest.mark.timeout(120)
CUTS = 5
SILENCE_S = 3.0
"""A second more than the engines wait for an answer, by their settings here."""
WINDOW = 32
SERVED = [
    pytest.param(name, marks=pytest.mark.server(engine.program.name))
    for name, engine in engines().items()
    if engine.program and "connection-cut" not in engine.not_run
]


@pytest.mark.parametrize("engine", SERVED)
def test_a_subscription_outlives_its_connections(engine, request, tmp_path, record_property):
    url = request.getfixturevalue(f"{engines()[engine].program.name}_url")
    port = int(url.rpartition(":")[2].partition("/")[0])
    journal = Journal(tmp_path / "done", topic=uuid4().hex)
    with (
        TcpProxy.to(port) as proxy,
        open_pubsub(engine, engines()[engine].settings(proxy.port, tmp_path)) as pubsub,
    ):

        def subscribed():
            return pubsub.subscribe(
                journal.topic, journal.write, raw=True, max_messages=WINDOW, lease=LEASE_S
            )

        with subscribed(), sending(journal, pubsub):
            for _ in range(CUTS):
                wait_for_more(journal)
                proxy.cut()
            wait_for_more(journal)
            proxy.go_silent()
            time.sleep(SILENCE_S)
            proxy.speak()
            proxy.cut()
            wait_for_more(journal)
        with subscribed():
            counts = journal.counts()
    record_property("counts", counts)

    assert counts["sent"] >= MANY
    assert 0 == counts["lost"]
    assert counts["duplicated"] <= (CUTS + 1) * (WINDOW + AT_ONCE)
