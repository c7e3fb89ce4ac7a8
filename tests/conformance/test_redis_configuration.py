from collections.abc import Iterator

import pytest

from capa_core.components.redis.configuration import RedisConfiguration, RedisConfigurationSettings
from capa_core.conformance.configuration import ConfigurationConformance


@pytest.mark.server("redis")
class TestRedisConfiguration(ConfigurationConformance):
    @pytest.fixture
    def driver(self, redis_url: str) -> Iterator[RedisConfiguration]:
        driver = RedisConfiguration(RedisConfigurationSettings(url=redis_url))
        yield driver
        driver.close()
