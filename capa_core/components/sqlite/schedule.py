"""Schedules in two SQLite files, over state and locks: shared by the processes of one machine, no server."""

from __future__ import annotations

from capa_core.blocks.schedule.over_state import LeaderSettings, ScheduleOverState
from capa_core.components.sqlite._driver import SqliteSettings
from capa_core.components.sqlite.lock import SqliteLock
from capa_core.components.sqlite.state import SqliteState


class SqliteScheduleSettings(SqliteSettings, LeaderSettings):
    """The place of the files, and the lease of leaders."""


class _ScheduleFile(SqliteState):
    """State in a file of its own."""

    block = "schedule"


class _LeaderFile(SqliteLock):
    """Locks in a file of their own."""

    block = "schedule-leaders"


class SqliteSchedule(ScheduleOverState[SqliteScheduleSettings]):
    """Jobs as values of `SqliteState` in `<folder>/schedule.db`, leaders as locks in `<folder>/schedule-leaders.db`."""

    settings_type = SqliteScheduleSettings
    state_type = _ScheduleFile
    lock_type = _LeaderFile
