import pytest

from capa_core.components.memory.sequencer import MemorySequencer, MemorySequencerSettings
from capa_core.conformance.sequencer import Connect, SequencerConformance


class TestMemorySequencer(SequencerConformance):
    @pytest.fixture
    def connect(self) -> Connect:
        return lambda: MemorySequencer(MemorySequencerSettings())
