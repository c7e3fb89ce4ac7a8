import pytest

from capa_core.components.redis.lock import RedisLock, RedisLockSettings
from capa_core.conformance.lock import Connect, LockConformance


@pytest.mark.server("redis")
class TestRedisLock(LockConformance):
    @pytest.fixture
    def connect(self, redis_url: str) -> Connect:
        return lambda: RedisLock(RedisLockSettings(url=redis_url))
