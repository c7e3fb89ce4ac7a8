import pytest

from capa_core.components.memory.database import MemoryDatabase
from capa_core.conformance.database import Connect, DatabaseConformance


class TestMemoryDatabase(DatabaseConformance):
    @pytest.fixture
    def connect(self) -> Connect:
        return lambda **settings: MemoryDatabase(MemoryDatabase.settings_type(**settings))
