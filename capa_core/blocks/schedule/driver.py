"""The driver contract of schedules: jobs as values, replaced by compare-and-set, and the locks of their leaders."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from capa_core.abilities import Feature, Level
from capa_core.blocks.lock.driver import LockDriver
from capa_core.driver import Driver, SettingsT

LONGEST_NAME = 200
LONGEST_HISTORY = 100
SHORTEST_INTERVAL_S = 0.1
DEFAULT_LEASE_S = 15.0

Misfire = Literal["skip", "once", "all"]
Concurrency = Literal["allow", "forbid", "replace"]


class ScheduleFeature(Feature):
    """Abilities of schedules."""

    LEADER = ("leader", Level.ALWAYS)
    """A job has one leader at a time, and another one within a lease after its death."""
    FENCING = ("fencing", Level.ALWAYS)
    """A leader that was paused past its lease begins no run, and each leader has a higher token than those before."""
    HISTORY = ("history", Level.ALWAYS)
    """The last runs of a job are kept with their outcomes."""
    SHARED = ("shared", Level.COMMON)
    """Several processes share the jobs and compete to lead them."""
    DURABLE = ("durable", Level.COMMON)
    """Jobs, their next runs and their histories survive a crash of the process and of the machine."""


class Outcome(StrEnum):
    """The state of one run."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    """The handler raised."""
    LOST = "lost"
    """Its leader died, or was cut off for longer than its lease: the handler may have done all, a part, or nothing."""
    MISSED = "missed"
    """It did not begin in time, and the misfire rule leaves it out."""
    SKIPPED = "skipped"
    """An earlier run was still running, and concurrency forbids a second one."""
    REPLACED = "replaced"
    """It was told to stop for the next run, and ended."""


@dataclass(frozen=True, slots=True)
class Cron:
    """Times by a cron expression of five fields, on the clocks of *zone*, a name of the IANA database."""

    expression: str
    zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Every:
    """Times at a fixed distance, counted from *start* (UTC), when the job was declared first; it is not one of them."""

    seconds: float
    start: datetime


@dataclass(frozen=True, slots=True)
class At:
    """One time (UTC)."""

    moment: datetime


Trigger = Cron | Every | At


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """The definition of a job, as `Schedule.add` documents it.

    Attributes:
        misfire_limit: The most runs that the rule `all` makes up for.
        history_limit: Ended runs that are kept, 0 to 100.
    """

    trigger: Trigger
    misfire: Misfire = "once"
    misfire_grace_s: float = 60.0
    misfire_limit: int = 10
    concurrency: Concurrency = "forbid"
    recover: bool = False
    history_limit: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """One run of a job. All times are UTC.

    Attributes:
        scheduled_at: When it was due, or requested.
        started_at: When its leader claimed it; `None` if it never began.
        detail: The reason of an outcome; of a failure, the type and the text of the error.
        leader: The owner of the lock that began it.
        token: The fencing token of that lock.
        missed: The scheduled times before it, since the run before, for which no run was made.
        manual: Whether it was requested by `Schedule.trigger`.
        recovers: The id of the lost run that it makes up for; `""` for none.
    """

    id: str
    scheduled_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: Outcome = Outcome.RUNNING
    detail: str = ""
    leader: str = ""
    token: int = 0
    missed: int = 0
    manual: bool = False
    recovers: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A run that was requested and that no leader has seen yet."""

    id: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it is stored: one value, replaced as a whole.

    Attributes:
        next_at: The first scheduled time that is not settled yet (UTC); `None` when no more will come.
        suspended: Whether scheduled runs are left out until `resume`.
        leader: The owner of the lock that wrote last as the leader; `""` before the first. It may be dead.
        token: That lock's fencing token. Writes of leaders with a lower one are refused.
        running: The runs that have begun and not ended.
        history: The runs that have ended or were left out, newest first.
    """

    name: str
    spec: JobSpec
    next_at: datetime | None
    suspended: bool = False
    leader: str = ""
    token: int = 0
    running: tuple[RunStatus, ...] = ()
    history: tuple[RunStatus, ...] = ()
    requested: tuple[Request, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job with its version: opaque text that changes with each write."""

    job: Job
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleLimits:
    """The bounds of jobs, the same on every component.

    Attributes:
        max_name_length: In characters.
        min_interval_s: The shortest interval.
        max_history: The longest history of a job, in runs.
    """

    max_name_length: int = LONGEST_NAME
    min_interval_s: float = SHORTEST_INTERVAL_S
    max_history: int = LONGEST_HISTORY


class ScheduleDriver(Driver[SettingsT]):
    """Jobs by name, 1 to 200 characters of any Unicode. The portable type decides when to run; a driver only stores.

    All that must not be torn, next run, runs and history, is in one value. So a driver needs compare-and-set of one
    value, and no transaction.
    """

    @property
    def limits(self) -> ScheduleLimits:
        """The bounds that the engine sets. Read once, before anything is opened."""
        return ScheduleLimits()

    @property
    def lease_s(self) -> float:
        """Seconds after the death of a leader until another one can lead its jobs."""
        return DEFAULT_LEASE_S

    @property
    @abstractmethod
    def locks(self) -> LockDriver[Any]:
        """The locks of the leaders, one for each job by its name, on the same engine and for this purpose alone.

        It is the same object each time. `close` and `forget` of this driver *must* close and forget it too.
        """

    @abstractmethod
    def read(self, names: Sequence[str]) -> list[StoredJob | None]:
        """Return each job in the order of *names*, `None` where there is none; in one round trip where it can.

        Raises:
            DataLossError: A stored job cannot be read. It is left unchanged.
        """

    @abstractmethod
    def write(self, job: Job, version: str) -> str | None:
        """Store *job* and return its new version; `None`, with nothing stored, if *version* is not the present one.

        The version `""` stands for no job. A version *must not* come again for a name, also after a removal.
        """

    @abstractmethod
    def remove(self, name: str) -> bool:
        """Remove a job and return whether there was one."""

    @abstractmethod
    def names(self) -> Iterator[str]:
        """Yield the name of each job once, in no order.

        It *must not* hold a lock or a connection between two of them.
        """
