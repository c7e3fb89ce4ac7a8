import pytest

from capa_core.components.zookeeper.lock import ZookeeperLock, ZookeeperLockSettings
from capa_core.conformance.lock import LockConformance


@pytest.mark.server("zookeeper")
class TestZookeeperLock(LockConformance):
    @pytest.fixture
    def connect(self, zookeeper_settings: dict[str, str]) -> object:
        return lambda: ZookeeperLock(ZookeeperLockSettings(**zookeeper_settings))
