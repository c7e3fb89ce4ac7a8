"""Conformance of pub/sub on Kafka."""

from collections.abc import Iterator

import pytest

from capa_core.components.kafka.pubsub import KafkaPubSub
from capa_core.conformance.pubsub import PubSubConformance


@pytest.mark.server("kafka")
@pytest.mark.timeout(60, func_only=True)  # the set-up starts the broker, which has a limit of its own
class TestKafkaPubSub(PubSubConformance):
    handed_over_within_s = 30

    @pytest.fixture
    def driver(self, kafka_url: str) -> Iterator[KafkaPubSub]:
        driver = KafkaPubSub(KafkaPubSub.settings_type(url=kafka_url, partitions=4))
        yield driver
        driver.close()
