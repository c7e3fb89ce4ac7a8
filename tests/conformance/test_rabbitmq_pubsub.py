"""Conformance of RabbitMQ pub/sub."""

from collections.abc import Iterator

import pytest

from capa_core.components.rabbitmq.pubsub import RabbitPubSub
from capa_core.conformance.pubsub import PubSubConformance


@pytest.mark.server("rabbitmq")
@pytest.mark.timeout(180)  # the first test of a run also waits for the broker to start
class TestRabbitPubSub(PubSubConformance):
    @pytest.fixture
    def driver(self, rabbitmq_url: str) -> Iterator[RabbitPubSub]:
        driver = RabbitPubSub(RabbitPubSub.settings_type(url=rabbitmq_url))
        yield driver
        driver.close()
