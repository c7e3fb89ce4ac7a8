"""Schedules in the memory of this process: for tests, and for applications of one process."""

from __future__ import annotations

from typing import Any

from capa_core.blocks.schedule.over_state import LeaderSettings, ScheduleOverState
from capa_core.components.memory.lock import MemoryLock, MemoryLockSettings
from capa_core.components.memory.state import MemoryState, MemoryStateSettings


class MemoryScheduleSettings(MemoryStateSettings, LeaderSettings):
    """Limits, and the lease of leaders."""


class MemorySchedule(ScheduleOverState[MemoryScheduleSettings]):
    """Jobs as values of `MemoryState`; a forked child goes on with a copy."""

    settings_type = MemoryScheduleSettings
    state_type = MemoryState
    lock_type = MemoryLock

    def lock_settings(self, settings: MemoryScheduleSettings) -> Any:
        """See `ScheduleOverState.lock_settings`."""
        del settings
        return MemoryLockSettings()
