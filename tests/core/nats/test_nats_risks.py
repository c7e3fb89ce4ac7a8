"""Settings of a NATS server, and of streams, that lose messages are told with the remedy."""

import re

import pytest
from nats.js import api
from servers._process import free_port

from capa_core.blocks.state.driver import Put
from capa_core.components.nats._risks import _on_one_server
from capa_core.components.nats.lock import NatsLock
from capa_core.components.nats.state import NatsState
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import CapaError, UnavailableError

pytestmark = [pytest.mark.server("nats"), pytest.mark.timeout(60)]


@pytest.mark.parametrize(
    ("sync_interval", "expected"),
    [
        ("always", None),
        (
            "2m",
            "a power cut.* loses what was acknowledged in the last 120 s. Set `sync_interval: always`",
        ),
    ],
)
def test_a_server_that_acknowledges_too_early_is_told(start_nats, open_pubsub, sync_interval, expected):
    server = start_nats(sync_interval=sync_interval)
    risks = [str(risk) for risk in open_pubsub(server.url, monitor_url=server.monitor_url).risks()]

    assert (0 if expected is None else 1) == len(risks)
    assert expected is None or re.search(expected, risks[0])


@pytest.mark.parametrize("driver", [NatsLock, NatsState])
def test_a_server_that_loses_locks_and_state_is_told(start_nats, driver):
    server = start_nats(sync_interval="2m")
    opened = driver(driver.settings_type(url=server.url, monitor_url=server.monitor_url))

    assert ["a power cut, or a crash of the machine,"] == [risk.event for risk in opened.risks()]


def test_a_server_that_is_not_looked_at_may_lose(open_pubsub, start_nats):
    (risk,) = open_pubsub(start_nats().url).risks()

    assert "unless the server has `sync_interval: always`" in risk.loses
    assert "`monitor_url`" in risk.remedy


def test_a_monitoring_that_does_not_answer_is_named(open_pubsub, nats_url):
    pubsub = open_pubsub(nats_url, monitor_url=f"http://127.0.0.1:{free_port()}")

    with pytest.raises(UnavailableError, match="the monitoring at http://127.0.0.1.* Correct `monitor_url`"):
        pubsub.risks()


STREAMS = [
    (
        {"storage": "memory"},
        "a restart of the server loses all messages of the stream 'capa[+]t', which is in memory",
    ),
    (
        {"max_age": 60},
        "loses messages of the stream 'capa[+]t': max_age must be 0. Correct it with `nats stream edit`",
    ),
    ({}, None),
]


@pytest.mark.parametrize(("changed", "expected"), STREAMS, ids=["memory", "age", "safe"])
def test_a_stream_that_loses_is_told(start_nats, open_pubsub, elsewhere, changed, expected):
    server = start_nats()
    pubsub = open_pubsub(server.url, monitor_url=server.monitor_url)
    config = {"subjects": ["capa.t.now", "capa.t.later.*"], "allow_msg_schedules": True, "allow_direct": True}
    config |= {"name": "capa+t", "retention": "interest", "metadata": {"capa.topic": "t"}} | changed
    elsewhere(lambda client: client.jetstream().add_stream(api.StreamConfig(**config)), server.url)
    later = api.ConsumerConfig(durable_name="later", filter_subject="capa.t.later.*")
    elsewhere(lambda client: client.jetstream().add_consumer("capa+t", later), server.url)
    risks = [str(risk) for risk in pubsub.risks()]

    assert (0 if expected is None else 1) == len(risks)
    assert expected is None or re.search(expected, risks[0])


def test_streams_that_one_server_of_a_cluster_has_are_told(nats_cluster, open_pubsub):
    server = nats_cluster[0]
    wait_until(lambda: _has_leader(open_pubsub(server.url)))
    told = {}
    for replicas in (1, 3):
        settings = {"url": server.url, "monitor_url": server.monitor_url, "replicas": replicas}
        settings["prefix"] = f"of{replicas}"
        pubsub, state = open_pubsub(**settings), NatsState(NatsState.settings_type(**settings))
        pubsub.publish("t", b"x")
        state.put(Put("k", b"x"))
        told[replicas] = [str(risk) for opened in (pubsub, state) for risk in opened.risks()]
        state.close()

    assert 2 == len(told[1])
    for stream, risk in zip(("of1[+]t", "KV_of1-state"), told[1], strict=True):
        assert re.search(f"the loss of the server .* loses .* the streams '{stream}', .*--replicas 3", risk)
    assert [] == told[3]


def test_many_streams_on_one_server_are_one_line():
    found = {"cluster": {"name": "c"}, "config": {"num_replicas": 1}}
    (risk,) = _on_one_server([found | {"config": {"name": name}} for name in "abcde"])

    assert "the streams 'a', 'b', 'c' and 2 more" in risk.loses


def _has_leader(pubsub):
    try:
        return pubsub.ping()
    except CapaError:
        return False


def test_a_stream_that_cannot_publish_later_is_told(start_nats, open_pubsub, elsewhere):
    server = start_nats()
    pubsub = open_pubsub(server.url, monitor_url=server.monitor_url)
    pubsub.publish("t", b"x")
    elsewhere(lambda client: client.jetstream().delete_consumer("capa+t", "later"), server.url)
    (risk,) = pubsub.risks()

    assert "loses delayed messages of 't'" in str(risk)
