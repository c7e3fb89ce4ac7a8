"""`capa doctor` reads the settings of the engines, and says what they would lose."""

import json
import re

import pika
import pytest
from reliability.programs.capa import open_pubsub

from capa_core import Runtime
from capa_core.blocks.log import Log
from capa_core.components.kafka.log import KafkaLog
from capa_core.components.rabbitmq._names import Names
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import CapaError
from capa_migration.cli import main


@pytest.fixture
def doctor(tmp_path, monkeypatch, capsys):
    """Give a function that returns what `capa doctor` prints with one component on *url*."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CAPA_PROFILE", raising=False)

    def run(driver, url, *words):
        prefix = "" if driver == "postgres" else 'prefix = "doctor."'
        (tmp_path / "capa.toml").write_text(
            f'[pubsub.default]\ndriver = "{driver}"\nurl = "{url}"\n{prefix}\n'
        )
        main(["doctor", *words])
        return capsys.readouterr().out

    return run


@pytest.mark.server("redis")
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"appendonly": "no"},
            "a stop or a crash of the server loses all .* since its last snapshot. Set appendonly",
        ),
        (
            {"appendonly": "yes", "appendfsync": "everysec"},
            "a power cut loses .* one or two seconds. Set appendfsync",
        ),
        (
            {
                "appendonly": "yes",
                "appendfsync": "always",
                "maxmemory": "50mb",
                "maxmemory-policy": "allkeys-lru",
            },
            "full memory loses keys .*. Set maxmemory-policy to noeviction",
        ),
        ({"appendonly": "yes", "appendfsync": "always"}, None),
    ],
    ids=["no file", "by second", "eviction", "safe"],
)
def test_what_redis_would_lose_is_told(doctor, start_redis, settings, expected):
    server = start_redis(**{name.replace("-", "_"): value for name, value in settings.items()})
    out = doctor("redis", server.url)
    lines = [line for line in out.splitlines() if line.startswith("  pubsub default: ")]

    assert (0 if expected is None else 1) == len(lines)
    assert expected is None or re.search(expected, lines[0])


@pytest.mark.server("rabbitmq")
@pytest.mark.timeout(180)
def test_what_rabbitmq_would_lose_is_told(doctor, rabbitmq_url, tmp_path):
    """By its version, and for a queue that an operator has made of another type."""
    before = doctor("rabbitmq", rabbitmq_url, "--json")
    with Runtime(start=tmp_path) as runtime:
        runtime.pubsub().consumer("made.otherwise", "billing").close()
    queue = Names("doctor.", "made.otherwise").group("billing")
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_url)) as connection:
        channel = connection.channel()
        channel.queue_delete(queue)
        channel.queue_declare(queue, durable=True)
        out = doctor("rabbitmq", rabbitmq_url)
        channel.queue_delete(queue)
    (row,) = [row for row in json.loads(before)["components"] if row["block"] == "pubsub"]

    late_list, policies = row["risks"]
    assert "within minutes after the first use" in late_list["event"]
    assert "Set `management_url` here" in policies["remedy"]
    assert f"loses the messages of the queue {queue!r}, which is no quorum queue" in out
    assert "x-queue-type" in out
    assert "Delete the queue once it is empty" in out


@pytest.mark.server("postgres")
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"fsync": "off"}, "a power cut loses acknowledged writes, .* Set fsync to on"),
        ({"synchronous_commit": "off"}, "a crash of the server loses .* last second. Set synchronous_commit"),
        ({}, None),
    ],
    ids=["no fsync", "lazy commit", "safe"],
)
def test_what_postgres_would_lose_is_told(doctor, start_postgres, settings, expected):
    server = start_postgres(**settings)
    out = doctor("postgres", server.url)
    lines = [line for line in out.splitlines() if line.startswith("  pubsub default: ")]

    assert (0 if expected is None else 1) == len(lines)
    assert all(re.search(expected, line) for line in lines)


@pytest.mark.parametrize(
    ("driver", "start", "settings"),
    [
        pytest.param("redis", "start_redis", {"appendonly": "no"}, marks=pytest.mark.server("redis")),
        pytest.param(
            "postgres",
            "start_postgres",
            {"synchronous_commit": "off", "wal_writer_delay": "10s"},
            marks=pytest.mark.server("postgres"),
        ),
    ],
    ids=["Redis without a file", "PostgreSQL with lazy commits"],
)
def test_a_crash_loses_what_the_warning_says(request, driver, start, settings):
    """The other risks told are of power cuts, or of nodes: a killed process does not show them."""
    server = request.getfixturevalue(start)(**settings)
    with open_pubsub(driver, {"url": server.url}) as pubsub:
        (risk,) = pubsub.risks()
        pubsub.consumer("t").close()
        published = pubsub.publish_many("t", [b"x"] * 10, raw=True)
        server.kill()
        server.start()
        wait_until(lambda: is_up(pubsub))
        left = pubsub.depth("t")

    assert "a crash of the server" in risk.event
    assert all(result.ok for result in published)
    assert left < len(published)


def is_up(pubsub):
    try:
        return pubsub.ping()
    except CapaError:
        return False


@pytest.mark.server("kafka")
@pytest.mark.timeout(120)
def test_what_kafka_would_lose_is_told(doctor, kafka_url):
    with Log(KafkaLog(KafkaLog.settings_type(url=kafka_url, prefix="doctor."))) as log:
        log.append("orders", b"x")
    out = doctor("kafka", kafka_url)

    assert (
        "the loss of the broker that has a partition loses the records of the topics 'orders'. Set `repl"
        in out
    )
    assert "a power cut of all brokers that have a record loses the records of the last seconds" in out
