"""RabbitMQ for tests beyond the conformance suite."""

from uuid import uuid4

import pika
import pytest

from capa_core.blocks.pubsub import PubSub
from capa_core.components.rabbitmq._names import Names
from capa_core.components.rabbitmq.pubsub import RabbitPubSub


@pytest.fixture
def open_pubsub():
    """Give a function that opens the portable type on a broker; its keywords are settings."""
    opened = []

    def open_one(url, **settings):
        opened.append(PubSub(RabbitPubSub(RabbitPubSub.settings_type(url=url, **settings))))
        return opened[-1]

    yield open_one
    for pubsub in opened:
        pubsub.close()


@pytest.fixture
def pubsub(open_pubsub, rabbitmq_url):
    """Give the portable type on the broker that all tests share."""
    return open_pubsub(rabbitmq_url)


@pytest.fixture
def topic():
    """Give a name that no other test uses."""
    return uuid4().hex


@pytest.fixture
def names(topic):
    """Give the names of the exchanges and queues of the topic."""
    return Names("capa.", topic)


@pytest.fixture
def channel(rabbitmq_url):
    """Give a channel of pika's own, as another program or an operator has."""
    with pika.BlockingConnection(pika.URLParameters(rabbitmq_url)) as connection:
        yield connection.channel()
