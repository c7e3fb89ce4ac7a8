import pytest

from capa_core.components.etcd.sequencer import EtcdSequencer, EtcdSequencerSettings
from capa_core.conformance.sequencer import SequencerConformance


@pytest.mark.server("etcd")
class TestEtcdSequencer(SequencerConformance):
    @pytest.fixture
    def connect(self, etcd_settings: dict[str, str]) -> object:
        return lambda: EtcdSequencer(EtcdSequencerSettings(**etcd_settings))
