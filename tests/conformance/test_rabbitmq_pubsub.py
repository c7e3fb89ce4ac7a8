"""Conformance of RabbitMQ pub/sub."""

from collections.abc import Iterator

import pytest

from capa_core.components.rabbitmq.pubsub import RabbitPubSub
from capa_core.conformance.pubsub import PubSubConformance


@pytest.mark.server("rabbitmq")
@pytest.mark.timeout(60, func_only=True)  # the set-up starts the broker, which has a limit of its own
class TestRabbitPubSub(PubSubConformance):
    @pytest.fixture
    def driver(self, rabbitmq_url: str) -> Iterator[RabbitPubSub]:
        driver = RabbitPubSub(RabbitPubSub.settings_type(url=rabbitmq_url))
        yield driver
        driver.close()
