"""Conformance of Redis pub/sub."""

from collections.abc import Iterator

import pytest

from capa_core.components.redis.pubsub import RedisPubSub, RedisPubSubSettings
from capa_core.conformance.pubsub import PubSubConformance


@pytest.mark.server("redis")
class TestRedisPubSub(PubSubConformance):
    @pytest.fixture
    def driver(self, redis_url: str) -> Iterator[RedisPubSub]:
        driver = RedisPubSub(RedisPubSubSettings(url=redis_url, abandoned_s=3))
        yield driver
        driver.close()
