"""Programs of several processes: what one declares holds for the others, and a killed one loses nothing."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from kombu import Exchange, Queue
from kombu.mixins import ConsumerMixin

import capa_kombu
from capa_core import Runtime, use_runtime
from capa_core.errors import UnavailableError
from capa_kombu.over_pubsub import Channel

CONSUMER = """
import os, signal
from capa_kombu import Connection, Exchange, Queue

with Connection("redis://h") as connection:
    queue = Queue("jobs", Exchange("work", "topic"), "job.#")(connection.default_channel)
    queue.declare()
    print("declared", flush=True)
    with connection.Consumer(queue, on_message=lambda message: os.kill(os.getpid(), signal.SIGKILL)):
        while True:
            connection.drain_events()
"""


def test_the_messages_of_a_killed_consumer_come_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "capa.toml").write_text("[adapters.kombu]\nlease_s = 1\n")
    (tmp_path / "consumer.py").write_text(CONSUMER)
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "consumer.py"]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    with (
        Runtime(file=tmp_path / "capa.toml") as runtime,
        use_runtime(runtime),
        capa_kombu.Connection("redis://h") as connection,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process,
    ):
        assert process.stdout is not None
        assert "declared\n" == process.stdout.readline()
        connection.Producer().publish("x", exchange="work", routing_key="job.one")
        killed = process.wait(30)
        message = connection.SimpleQueue(Queue("jobs")).get(timeout=30)

        assert -9 == killed
        assert ("x", True) == (message.payload, message.delivery_info["redelivered"])


def test_a_consumer_goes_on_when_the_engine_was_away(
    memory: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    lost: list[Any] = []
    original = Channel._get

    def away_once(channel: Any, *arguments: Any) -> Any:
        if not lost:
            lost.append(1)
            raise UnavailableError("the engine is away")
        return original(channel, *arguments)

    class Worker(ConsumerMixin):
        def __init__(self, connection: Any) -> None:
            self.connection = connection

        def get_consumers(self, consumer: Any, channel: Any) -> list[Any]:
            return [consumer(Queue("jobs", Exchange("work"), "jobs"), callbacks=[self.work])]

        def work(self, body: Any, message: Any) -> None:
            seen.append(body)
            message.ack()
            self.should_stop = True

    with capa_kombu.Connection("amqp://") as connection:
        connection.SimpleQueue("jobs").put("x")
        monkeypatch.setattr(Channel, "_get", away_once)
        Worker(connection).run()

    assert ["x"] == seen
    assert lost


def test_a_publish_is_tried_again_when_the_engine_was_away(
    memory: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    original = Channel._put

    def away_once(channel: Any, *arguments: Any, **options: Any) -> Any:
        if not told:
            raise UnavailableError("the engine is away")
        return original(channel, *arguments, **options)

    monkeypatch.setattr(Channel, "_put", away_once)
    policy = {"max_retries": 2, "interval_start": 0, "errback": lambda error, rest_s: told.append(error)}
    with capa_kombu.Connection("amqp://") as connection:
        connection.Producer().publish("x", routing_key="jobs", retry=True, retry_policy=policy)

    assert 1 == len(told)
    assert 1 == memory.pubsub("kombu").depth("jobs", "celery")
