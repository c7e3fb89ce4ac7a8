import pytest

from capa_core.components.zookeeper.state import ZookeeperState, ZookeeperStateSettings
from capa_core.conformance.state import Connect, StateConformance


@pytest.mark.server("zookeeper")
class TestZookeeperState(StateConformance):
    @pytest.fixture
    def connect(self, zookeeper_settings: dict[str, str]) -> Connect:
        return lambda: ZookeeperState(ZookeeperStateSettings(**zookeeper_settings))
