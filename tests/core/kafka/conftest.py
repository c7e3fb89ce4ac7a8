"""Kafka for tests beyond the conformance suites."""

from uuid import uuid4

import pytest

from capa_core.blocks.log import Log
from capa_core.components.kafka.log import KafkaLog


@pytest.fixture
def open_log():
    """Give a function that opens the portable type on a broker; its keywords are settings."""
    opened = []

    def open_one(url, **settings):
        opened.append(Log(KafkaLog(KafkaLog.settings_type(url=url, **{"partitions": 4, **settings}))))
        return opened[-1]

    yield open_one
    for log in opened:
        log.close()


@pytest.fixture
def log(open_log, kafka_url):
    """Give the portable type on the broker that all tests share."""
    return open_log(kafka_url)


@pytest.fixture
def topic():
    """Give a name that no other test uses."""
    return uuid4().hex
