import pytest

from capa_core.components.etcd.state import EtcdState, EtcdStateSettings
from capa_core.conformance.state import Connect, StateConformance


@pytest.mark.server("etcd")
class TestEtcdState(StateConformance):
    @pytest.fixture
    def connect(self, etcd_settings: dict[str, str]) -> Connect:
        return lambda: EtcdState(EtcdStateSettings(**etcd_settings))
