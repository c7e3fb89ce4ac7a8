"""NATS for tests beyond the conformance suite."""

import asyncio
from uuid import uuid4

import nats
import pytest

from capa_core.blocks.pubsub import PubSub
from capa_core.components.nats._names import Names
from capa_core.components.nats.pubsub import NatsPubSub


@pytest.fixture
def open_pubsub():
    """Give a function that opens the portable type on a server; its keywords are settings."""
    opened = []

    def open_one(url, **settings):
        opened.append(PubSub(NatsPubSub(NatsPubSub.settings_type(url=url, **settings))))
        return opened[-1]

    yield open_one
    for pubsub in opened:
        pubsub.close()


@pytest.fixture
def pubsub(open_pubsub, nats_url):
    """Give the portable type on the server that all tests share."""
    return open_pubsub(nats_url)


@pytest.fixture
def topic():
    """Give a name that no other test uses."""
    return uuid4().hex


@pytest.fixture
def names(topic):
    """Give the names of the stream and the subjects of the topic."""
    return Names("capa", topic)


@pytest.fixture
def elsewhere(nats_url):
    """Give a function that calls another one with a client of nats-py's own, as another program or an operator has."""

    async def run(work, url, options):
        client = await nats.connect(url, **options)
        try:
            return await work(client)
        finally:
            await client.close()

    return lambda work, url=nats_url, **options: asyncio.run(run(work, url, options))
