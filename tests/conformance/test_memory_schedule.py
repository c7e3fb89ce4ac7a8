import pytest

from capa_core.components.memory.schedule import MemorySchedule, MemoryScheduleSettings
from capa_core.conformance.schedule import LEASE_S, Connect, ScheduleConformance


class TestMemorySchedule(ScheduleConformance):
    @pytest.fixture
    def connect(self) -> Connect:
        return lambda *, lease_s=LEASE_S: MemorySchedule(MemoryScheduleSettings(lease_s=lease_s))
