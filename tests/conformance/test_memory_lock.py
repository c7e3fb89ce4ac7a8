import pytest

from capa_core.components.memory.lock import MemoryLock, MemoryLockSettings
from capa_core.conformance.lock import Connect, LockConformance


class TestMemoryLock(LockConformance):
    @pytest.fixture
    def connect(self) -> Connect:
        return lambda: MemoryLock(MemoryLockSettings())
