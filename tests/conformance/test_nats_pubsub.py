"""Conformance of NATS pub/sub."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from capa_core.components.nats.pubsub import NatsPubSub
from capa_core.conformance.pubsub import PubSubConformance


@pytest.mark.server("nats")
class TestNatsPubSub(PubSubConformance):
    @pytest.fixture
    def driver(self, nats_url: str) -> Iterator[NatsPubSub]:
        settings = {"url": nats_url, "prefix": uuid4().hex, "abandoned_s": 2}
        driver = NatsPubSub(NatsPubSub.settings_type(**settings))
        yield driver
        driver.close()
