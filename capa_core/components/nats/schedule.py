"""Schedules in buckets of NATS KV, over its state and locks."""

from __future__ import annotations

from capa_core.blocks.schedule.over_state import LeaderSettings, ScheduleOverState
from capa_core.components.nats._settings import NatsSettings
from capa_core.components.nats.lock import NatsLock
from capa_core.components.nats.state import NatsState


class NatsScheduleSettings(NatsSettings, LeaderSettings):
    """The addresses of the servers, the buckets `<prefix>-state` and `<prefix>-lock`, and the lease of leaders."""

    prefix: str = "capa-schedule"


class NatsSchedule(ScheduleOverState[NatsScheduleSettings]):
    """Jobs as values of `NatsState`, leaders as locks of `NatsLock`."""

    settings_type = NatsScheduleSettings
    state_type = NatsState
    lock_type = NatsLock
