"""Schedules in Redis, over its state and locks."""

from __future__ import annotations

from capa_core.blocks.schedule.over_state import LeaderSettings, ScheduleOverState
from capa_core.components.redis.lock import RedisLock
from capa_core.components.redis.state import RedisState, RedisStateSettings


class RedisScheduleSettings(RedisStateSettings, LeaderSettings):
    """The address of the server, the prefix of its keys, and the lease of leaders."""

    prefix: str = "capa:schedule:"


class RedisSchedule(ScheduleOverState[RedisScheduleSettings]):
    """Jobs as values of `RedisState` at `<prefix>job/<name>`, leaders as locks at `<prefix>leader:{<name>}`."""

    settings_type = RedisScheduleSettings
    state_type = RedisState
    lock_type = RedisLock
    leaders = "leader:"
