"""Conformance of the log on Kafka."""

from collections.abc import Iterator

import pytest

from capa_core.components.kafka.log import KafkaLog
from capa_core.conformance.log import LogConformance


@pytest.mark.server("kafka")
@pytest.mark.timeout(60, func_only=True)  # the set-up starts the broker, which has a limit of its own
class TestKafkaLog(LogConformance):
    @pytest.fixture
    def driver(self, kafka_url: str) -> Iterator[KafkaLog]:
        driver = KafkaLog(KafkaLog.settings_type(url=kafka_url, partitions=4))
        yield driver
        driver.close()
