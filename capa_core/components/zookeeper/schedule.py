"""Schedules in ZooKeeper, over its state and locks."""

from __future__ import annotations

from capa_core.blocks.schedule.over_state import LeaderSettings, ScheduleOverState
from capa_core.components.zookeeper.lock import ZookeeperLock
from capa_core.components.zookeeper.state import ZookeeperState, ZookeeperStateSettings


class ZookeeperScheduleSettings(ZookeeperStateSettings, LeaderSettings):
    """The servers of the ensemble, the folder of the nodes, and the lease of leaders."""

    prefix: str = "/capa/schedule"


class ZookeeperSchedule(ScheduleOverState[ZookeeperScheduleSettings]):
    """Jobs as values of `ZookeeperState` below `<prefix>`, leaders as locks below `<prefix>-leaders`."""

    settings_type = ZookeeperScheduleSettings
    state_type = ZookeeperState
    lock_type = ZookeeperLock
    leaders = "-leaders"
