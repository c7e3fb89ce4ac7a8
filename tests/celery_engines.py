"""Engines behind a Celery application of a test, as tables of its capa.toml."""

import os
from typing import Any
from uuid import uuid4

import pytest

POOLS = ["solo", "threads", "prefork"]
SQLITE = "sqlite"
REDIS = pytest.param("redis", marks=pytest.mark.server("redis"))
RABBITMQ = pytest.param("rabbitmq", marks=[pytest.mark.server("rabbitmq"), pytest.mark.server("redis")])
"""Results and locks are on Redis: RabbitMQ has neither, and workers on several machines share no SQLite file."""
NATS = pytest.param("nats", marks=[pytest.mark.server("nats"), pytest.mark.server("redis")])
"""As on RabbitMQ."""
KAFKA = pytest.param("kafka", marks=[pytest.mark.server("kafka"), pytest.mark.server("redis")])
"""As on RabbitMQ."""
POSTGRES = pytest.param("postgres", marks=pytest.mark.server("postgres"))

SQS = pytest.param("sqs", marks=[pytest.mark.server("elasticmq"), pytest.mark.server("redis")])


def on_every_engine(fixture: str) -> pytest.MarkDecorator:
    """Return the mark of a test of what is promised of each engine; others leave out the one that starts slowly."""
    return pytest.mark.parametrize(fixture, [SQLITE, REDIS, RABBITMQ, POSTGRES], indirect=True)


def in_every_pool(fixture: str, *engines: Any) -> pytest.MarkDecorator:
    """Return the mark of a test of what pools and engines each do for their part: every one of them, not every pair.

    That is each pool on SQLite, and prefork, the default, on each of *engines*; with `make faults`, every pair.
    """
    pairs = [(SQLITE, pool) for pool in POOLS]
    pools = POOLS if "CAPA_FAULTS" in os.environ else ["prefork"]
    elsewhere = [
        pytest.param(*engine.values, pool, marks=engine.marks) for engine in engines for pool in pools
    ]
    return pytest.mark.parametrize((fixture, "pool"), [*pairs, *elsewhere], indirect=[fixture])


def on_one_engine(fixture: str) -> pytest.MarkDecorator:
    """Return the mark of a test of what happens before or beside the engine: it would be the same on another."""
    return pytest.mark.parametrize(fixture, [SQLITE], indirect=True)


def tables(engine: str, request: pytest.FixtureRequest) -> str:
    """Return the tables that put a test of its own on *engine*; embedded SQLite needs none."""
    if engine == "sqlite":
        return ""
    if engine == "postgres":
        url, schema = (request.getfixturevalue(name) for name in ("postgres_url", "postgres_schema"))
        everywhere = {"driver": "postgres", "url": url, "schema_name": schema}
    else:
        everywhere = {"driver": "redis", "url": request.getfixturevalue("redis_url")}
    served = dict.fromkeys(("pubsub", "state", "lock"), everywhere)
    if engine == "rabbitmq":  # all tests share the broker: names with a prefix of its own keep this one apart
        url = request.getfixturevalue("rabbitmq_url")
        served["pubsub"] = {"driver": "rabbitmq", "url": url, "prefix": f"{uuid4().hex}."}
    if engine == "sqs":
        request.getfixturevalue("aws_credentials")
        url = request.getfixturevalue("elasticmq_url")
        own = {"prefix": f"{uuid4().hex[:12]}-", "settle_s": "0.1", "poll_s": "1"}
        served["pubsub"] = {"driver": "sqs", "endpoint_url": url, **own}
    if engine == "nats":
        url = request.getfixturevalue("nats_url")
        served["pubsub"] = {"driver": "nats", "url": url, "prefix": uuid4().hex}
    if engine == "kafka":
        url = request.getfixturevalue("kafka_url")
        served["pubsub"] = {"driver": "kafka", "url": url, "prefix": f"{uuid4().hex[:12]}."}
    return "".join(_table(f"{block}.default", settings) for block, settings in served.items())


def _table(name: str, settings: dict[str, str]) -> str:
    return f"[{name}]\n" + "".join(f'{key} = "{value}"\n' for key, value in settings.items())
