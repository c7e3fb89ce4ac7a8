"""Conformance of memory pub/sub."""

from collections.abc import Iterator

import pytest

from capa_core.components.memory.pubsub import MemoryPubSub, MemoryPubSubSettings
from capa_core.conformance.pubsub import PubSubConformance


class TestMemoryPubSub(PubSubConformance):
    @pytest.fixture
    def driver(self) -> Iterator[MemoryPubSub]:
        driver = MemoryPubSub(MemoryPubSubSettings())
        yield driver
        driver.close()
