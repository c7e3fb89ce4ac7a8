"""Conformance of a minimal driver, which measures the compensation by the core."""

from collections.abc import Iterator, Sequence

import pytest

from capa_core.abilities import BY_CORE, absent
from capa_core.blocks.pubsub.driver import ConsumerDriver, OutgoingMessage, PubSubFeature
from capa_core.components.memory.pubsub import MemoryPubSub, MemoryPubSubSettings
from capa_core.conformance.pubsub import PubSubConformance
from capa_core.errors import CapaError


class BarePubSub(MemoryPubSub):
    """A driver with groups, leases and delayed returns; it rejects all other requests."""

    features = {
        **MemoryPubSub.features,
        **dict.fromkeys(
            (PubSubFeature.DELAY, PubSubFeature.TTL, PubSubFeature.BULK, PubSubFeature.BROADCAST), BY_CORE
        ),
        **dict.fromkeys(
            (
                PubSubFeature.PRIORITY,
                PubSubFeature.ORDER_BY_KEY,
                PubSubFeature.INSPECT,
                PubSubFeature.PEEK_DELAYED,
                PubSubFeature.PURGE_GROUP,
            ),
            absent("left out for the test"),
        ),
    }

    def publish(self, topic: str, messages: Sequence[OutgoingMessage]) -> list[CapaError | None]:
        (message,) = messages
        assert (0.0, None, 0, "") == (message.delay_s, message.ttl_s, message.priority, message.key)
        return super().publish(topic, messages)

    def consume(self, topic: str, group: str, *, lease_s: float, temporary: bool = False) -> ConsumerDriver:
        assert not temporary, "the core makes the group's name unique"
        return super().consume(topic, group, lease_s=lease_s)


class TestBarePubSub(PubSubConformance):
    @pytest.fixture
    def driver(self) -> Iterator[BarePubSub]:
        driver = BarePubSub(MemoryPubSubSettings())
        yield driver
        driver.close()
