import pytest

from capa_core.components.redis.schedule import RedisSchedule, RedisScheduleSettings
from capa_core.conformance.schedule import LEASE_S, Connect, ScheduleConformance


@pytest.mark.server("redis")
class TestRedisSchedule(ScheduleConformance):
    @pytest.fixture
    def connect(self, redis_url: str) -> Connect:
        return lambda *, lease_s=LEASE_S: RedisSchedule(RedisScheduleSettings(url=redis_url, lease_s=lease_s))
