"""`capa doctor` reads the settings of the engines, and says what they would lose."""

import json
import re

import pika
import pytest

from capa_core import Runtime
from capa_core.components.rabbitmq._names import Names
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

    assert ["within minutes after the first use" in risk["event"] for risk in row["risks"]] == [True]
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
