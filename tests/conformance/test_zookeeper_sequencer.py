import pytest

from capa_core.components.zookeeper.sequencer import ZookeeperSequencer, ZookeeperSequencerSettings
from capa_core.conformance.sequencer import SequencerConformance


@pytest.mark.server("zookeeper")
class TestZookeeperSequencer(SequencerConformance):
    @pytest.fixture
    def connect(self, zookeeper_settings: dict[str, str]) -> object:
        return lambda: ZookeeperSequencer(ZookeeperSequencerSettings(**zookeeper_settings))
