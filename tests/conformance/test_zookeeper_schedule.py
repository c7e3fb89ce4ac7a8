import pytest

from capa_core.components.zookeeper.schedule import ZookeeperSchedule, ZookeeperScheduleSettings
from capa_core.conformance.schedule import LEASE_S, ScheduleConformance


@pytest.mark.server("zookeeper")
class TestZookeeperSchedule(ScheduleConformance):
    @pytest.fixture
    def connect(self, zookeeper_settings: dict[str, str]) -> object:
        return lambda *, lease_s=LEASE_S: ZookeeperSchedule(
            ZookeeperScheduleSettings(**zookeeper_settings, lease_s=lease_s)
        )
