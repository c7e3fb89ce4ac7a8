import pytest

from capa_core.components.memory.state import MemoryState, MemoryStateSettings
from capa_core.conformance.state import Connect, StateConformance


class TestMemoryState(StateConformance):
    @pytest.fixture
    def connect(self) -> Connect:
        return lambda: MemoryState(MemoryStateSettings())
