"""A schedule driver over the state and the locks of an engine: a job is one value, written by its etag.

The driver of such an engine is a class with a name:

    class PostgresSchedule(ScheduleOverState[PostgresScheduleSettings]):
        settings_type = PostgresScheduleSettings
        state_type = PostgresState
        lock_type = PostgresLock
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from capa_core.abilities import BY_DRIVER, NATIVE, How, Support
from capa_core.blocks.lock.driver import LONGEST_LEASE_S, SHORTEST_LEASE_S, LockDriver, LockFeature
from capa_core.blocks.schedule._codec import decoded, encoded
from capa_core.blocks.schedule.driver import DEFAULT_LEASE_S, Job, ScheduleDriver, ScheduleFeature, StoredJob
from capa_core.blocks.state.driver import Delete, Put, StateDriver, StateFeature, StateItem
from capa_core.driver import DriverOver, SettingsT

_JOB = "job/"


class LeaderSettings(BaseModel):
    """The lease of leaders.

    Attributes:
        lease_s: Seconds after the death of a leader until another process can lead its jobs.
    """

    lease_s: float = Field(default=DEFAULT_LEASE_S, ge=SHORTEST_LEASE_S, le=LONGEST_LEASE_S)


class ScheduleOverState(DriverOver[SettingsT], ScheduleDriver[SettingsT]):
    """Jobs as JSON at `job/<name>` in a state of their own, each with a lock of its name in locks of their own.

    A subclass names both drivers, and takes the settings of the state with those of `LeaderSettings`.
    """

    state_type: ClassVar[type[StateDriver[Any]]]
    """The driver of the state underneath. It has ETAG, SCAN and BULK."""
    lock_type: ClassVar[type[LockDriver[Any]]]
    """The driver of the locks."""
    leaders: ClassVar[str] = ""
    """Follows the `prefix` of the settings in that of the locks; `""` where values and locks are apart anyway."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "state_type" in vars(cls):
            state, lock = cls.state_type.features, cls.lock_type.features
            shared = (state[StateFeature.SHARED], lock[LockFeature.SHARED])
            durable = (state[StateFeature.DURABLE], lock[LockFeature.DURABLE])
            cls.features = {
                ScheduleFeature.LEADER: BY_DRIVER,
                ScheduleFeature.FENCING: BY_DRIVER,
                ScheduleFeature.HISTORY: NATIVE,
                ScheduleFeature.SHARED: _weaker(*shared),
                ScheduleFeature.DURABLE: _weaker(*durable),
            }

    def __init__(self, settings: SettingsT) -> None:
        super().__init__(settings)
        self._state = self.state_type(settings)
        self._locks = self.lock_type(self.lock_settings(settings))

    def lock_settings(self, settings: SettingsT) -> Any:
        """Return the settings of the locks, which must not be those of any other locks: the same but for `leaders`."""
        if not self.leaders:
            return settings
        prefixed: Any = settings
        return prefixed.model_copy(update={"prefix": f"{prefixed.prefix}{self.leaders}"})

    @property
    def under(self) -> StateDriver[Any]:
        """See `DriverOver.under`."""
        return self._state

    @property
    def lease_s(self) -> float:
        """See `ScheduleDriver.lease_s`."""
        settings: Any = self.settings  # with those of `LeaderSettings`
        return float(settings.lease_s)

    @property
    def locks(self) -> LockDriver[Any]:
        """See `ScheduleDriver.locks`."""
        return self._locks

    def read(self, names: Sequence[str]) -> list[StoredJob | None]:
        """See `ScheduleDriver.read`."""
        keys = [_JOB + name for name in names]
        if self._state.features[StateFeature.BULK].by_driver:
            items = self._state.get_many(keys) if keys else []
        else:
            items = [self._state.get(key) for key in keys]
        return [_stored(name, item) for name, item in zip(names, items, strict=True)]

    def write(self, job: Job, version: str) -> str | None:
        """See `ScheduleDriver.write`."""
        return self._state.put(Put(_JOB + job.name, encoded(job), if_etag=version))

    def remove(self, name: str) -> bool:
        """See `ScheduleDriver.remove`."""
        return self._state.delete(Delete(_JOB + name)) is True

    def names(self) -> Iterator[str]:
        """See `ScheduleDriver.names`."""
        return (key.removeprefix(_JOB) for key in self._state.scan(_JOB))

    def close(self) -> None:
        """See `Driver.close`."""
        self._locks.close()
        super().close()

    def forget(self) -> None:
        """See `Driver.forget`."""
        self._locks.forget()
        super().forget()


def _stored(name: str, item: StateItem | None) -> StoredJob | None:
    return None if item is None else StoredJob(decoded(name, item.value), item.etag)


def _weaker(of_state: Support, of_locks: Support) -> Support:
    """Return the support of an ability that both must have: the one that promises less."""
    return max(of_state, of_locks, key=lambda support: list(How).index(support.how))
