"""Schedules in a PostgreSQL database, over its state and locks."""

from __future__ import annotations

from capa_core.blocks.schedule.over_state import LeaderSettings, ScheduleOverState
from capa_core.components.postgres._settings import PostgresSettings
from capa_core.components.postgres.lock import PostgresLock
from capa_core.components.postgres.state import PostgresState


class PostgresScheduleSettings(PostgresSettings, LeaderSettings):
    """The address of the server, the lease of leaders, and the schema, whose tables are those of state and lock."""

    schema_name: str = "capa_schedule"


class PostgresSchedule(ScheduleOverState[PostgresScheduleSettings]):
    """Jobs as values of `PostgresState`, leaders as locks of `PostgresLock`, in one schema."""

    settings_type = PostgresScheduleSettings
    state_type = PostgresState
    lock_type = PostgresLock
