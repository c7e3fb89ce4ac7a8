import pytest

from capa_core.components.redis.state import RedisState, RedisStateSettings
from capa_core.conformance.state import Connect, StateConformance


@pytest.mark.server("redis")
class TestRedisState(StateConformance):
    @pytest.fixture
    def connect(self, redis_url: str) -> Connect:
        return lambda: RedisState(RedisStateSettings(url=redis_url))
