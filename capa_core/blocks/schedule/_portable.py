"""Jobs by name, run at their times by one of the processes that have a handler for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from capa_core.blocks.lock import Locks
from capa_core.blocks.schedule import _rules
from capa_core.blocks.schedule._checks import check_name, checked_spec, checked_trigger
from capa_core.blocks.schedule._leader import Leader
from capa_core.blocks.schedule._run import Run
from capa_core.blocks.schedule._served import Handler, Registration, Served
from capa_core.blocks.schedule._store import JobStore
from capa_core.blocks.schedule.driver import (
    Concurrency,
    Job,
    Misfire,
    Request,
    RunStatus,
    ScheduleDriver,
    ScheduleLimits,
)
from capa_core.call import DEFAULT_POLICY, Policy, cancellation
from capa_core.call.checks import Duration, seconds
from capa_core.call.closed import closed
from capa_core.call.handlers import check_plain
from capa_core.call.portable import Portable, counted
from capa_core.call.traits import call_traits
from capa_core.errors import AlreadyExistsError, ClosedError, NotFoundError

HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])

_READ_AT_ONCE = 100


def _now() -> datetime:
    return datetime.now(UTC)


class Schedule(Portable[ScheduleDriver[Any]]):
    """Jobs that run at their times, on the engine of this component. Safe for many threads.

    All processes of an application register the same jobs. One of them leads each job, by a lock, and runs it; when it
    dies another one does so, within `lease_s` + 2 s.

        schedule = runtime.schedule("nightly")

        @schedule.job("reports", cron="0 3 * * *", zone="Europe/Berlin")
        def write_reports(run: Run) -> None: ...

        schedule.start()

    Each scheduled time is claimed by one leader, once: a run never begins twice. A run whose leader dies in it counts
    as lost, and is not repeated unless its job is to `recover`. Times are those of the leader's clock; one that is set
    back repeats no run.

    Any call but `job`, `add`, `start` and `stop` may raise `UnavailableError` or `DeadlineError` (the engine did not
    answer), `DataLossError` (another program has overwritten a job), `ClosedError`, and `InvalidArgumentError` (before
    anything was done).

    Args:
        clock: Returns the present time in UTC; for tests.
    """

    def __init__(
        self,
        driver: ScheduleDriver[Any],
        *,
        name: str = "default",
        policy: Policy = DEFAULT_POLICY,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        super().__init__("schedule", driver, name, policy)
        self._clock = clock
        self._limits = driver.limits
        self._store = JobStore(driver, self._guard)
        self._locks = Locks(driver.locks, name=name, policy=policy)
        self._lease_s = driver.lease_s
        self._is_stopped = False
        self._leader = Leader(name, self._store, self._locks, lease_s=driver.lease_s, clock=clock)

    @property
    def limits(self) -> ScheduleLimits:
        """The bounds of names, intervals and histories."""
        return self._limits

    @property
    def lease_s(self) -> float:
        """Seconds after the death of a leader until another process can lead its jobs."""
        return self._lease_s

    # Jobs of this process

    @call_traits(immediate=True)
    def job(self, name: str, **options: Any) -> Callable[[HandlerT], HandlerT]:
        """Return a decorator that registers a function as the handler of a job: see `add` for *options* and errors."""

        def register(handler: HandlerT) -> HandlerT:
            self.add(name, handler, **options)
            return handler

        return register

    @call_traits(opens=True, handler="handler")
    def add(
        self,
        name: str,
        handler: Handler,
        *,
        cron: str | None = None,
        zone: str = "UTC",
        every: Duration | None = None,
        at: datetime | None = None,
        misfire: Misfire = "once",
        misfire_grace: Duration = timedelta(seconds=60),
        misfire_limit: int = 10,
        concurrency: Concurrency = "forbid",
        recover: bool = False,
        history_limit: int = 20,
    ) -> Registration:
        """Register *handler* for a job, which is stored when the schedule has started; the engine is not asked here.

        A job that is stored already gets this definition. Its next run stays unless its times have changed; an interval
        goes on from its first declaration.

        Args:
            name: 1 to 200 characters; any Unicode.
            handler: Takes a `Run`. An error that it raises makes the run a failed one.
            cron: Five fields (minute, hour, day of month, month, day of week) with names, lists, ranges and steps, `L`
                and `#`, or `@daily` and the like. Clocks that change follow Debian's cron: a time that does not exist
                runs at the next one that does, and one that exists twice runs once. Expressions whose minutes or hours
                begin with `*` go on through both.
            zone: The zone of *cron*, a name of the IANA database.
            every: An interval of 0.1 s to ten years, instead of *cron*.
            at: A single time with a time zone, instead of *cron*. In the past, it is due at once.
            misfire: The rule for runs that were missed since nobody led: those that are due when a later one is due
                too, and the last if it is later than *misfire_grace*. `skip` leaves them out; `once` makes one run for
                all of them; `all` makes a run for each of the last *misfire_limit*.
            misfire_grace: How late a run may begin and still be in time: the starting deadline with `skip`.
            misfire_limit: 1 to 1,000.
            concurrency: The rule for a run that is due while one is running: `forbid` skips it (with misfire `all` it
                waits), `allow` begins it beside, up to 100, `replace` sets `Run.stop` and begins it when the other one
                has ended.
            recover: Whether a run whose leader died begins once more under the next one, unless the job is suspended
                then. The first may still be running
                in a process that was only paused: fence its writes by `Run.token`.
            history_limit: Ended runs that are kept, 0 to 100.

        Raises:
            InvalidArgumentError: An argument is outside its range; no zone or no time is like this.
            AlreadyExistsError: This process has a handler for the job already.
            ClosedError: The schedule was stopped.
        """
        check_name(name)
        check_plain("handler", handler)
        trigger = checked_trigger(self._clock(), cron=cron, zone=zone, every=every, at=at)
        spec = checked_spec(
            trigger,
            self._limits,
            misfire=misfire,
            misfire_grace=misfire_grace,
            misfire_limit=misfire_limit,
            concurrency=concurrency,
            recover=recover,
            history_limit=history_limit,
        )
        self._check_open()
        served = Served(name, spec, handler)
        if not self._leader.add(served):
            raise AlreadyExistsError(
                f"schedule {self.name!r} has a handler for {name!r} in this process. Choose another name, or close that"
                " registration first."
            )
        return Registration(name, partial(self._leader.leave, served))

    @call_traits(immediate=True)
    def start(self) -> None:
        """Begin to lead jobs, in a thread; a second call does nothing. Jobs that are added later are led too.

        In a child that was forked after it, call it again.

        Raises:
            ClosedError: The schedule was stopped.
        """
        self._check_open()
        self._leader.start()

    @call_traits(waits=True)
    def execute(self, name: str) -> None:
        """Run the handler that this process has for a job, now and in this thread, outside of the schedule.

        For tests, and for a program that something else starts at the times of the job, such as the CronJob that
        `capa schedule export --kubernetes` writes. Nothing is led and nothing is stored: the engine is not asked.

        Raises:
            NotFoundError: This process has no handler for the job.
            Exception: Whatever the handler raises.
        """
        check_name(name)
        handler = self._leader.handler(name)
        if handler is None:
            raise NotFoundError(f"this process has no handler for job {name!r}: register it first")
        handler(Run(name, RunStatus(id=_rules.new_id(), scheduled_at=self._clock(), manual=True), None))

    @call_traits(waits=True)
    def join(self, timeout: Duration | None = None) -> bool:
        """Wait until the schedule was stopped and all its runs have ended, and return whether that came.

        Without a `start` there is nothing to wait for. An interrupt ends the wait and not the schedule, which goes on
        until it is closed.

        Args:
            timeout: For how long; `None` for no limit.
        """
        left_s = None if timeout is None else seconds("timeout", timeout)
        for part_s in cancellation.parts(float("inf") if left_s is None else left_s):
            if self._leader.join(None if part_s == float("inf") else part_s):
                return True
        return False

    # Jobs of all processes

    def jobs(self) -> Iterator[Job]:
        """Yield each stored job, in no order."""
        names = self._store.names()
        while part := list(islice(names, _READ_AT_ONCE)):
            yield from (job for job in self._store.read(part) if job is not None)

    def get(self, name: str) -> Job | None:
        """Return a job as it is stored now; `None` if there is none."""
        check_name(name)
        (job,) = self._store.read([name])
        return job

    def history(self, name: str) -> list[RunStatus]:
        """Return the runs of a job: those that are running, then those that have ended or were left out, newest first.

        Raises:
            NotFoundError: There is no such job.
        """
        job = self.get(name)
        if job is None:
            raise self._store.missing(name)
        return [*reversed(job.running), *job.history]

    def trigger(self, name: str) -> str:
        """Request a run beside the scheduled ones, and return its id. The leader sees it within a second.

        It also runs while the job is suspended. Without a process that leads the job, it waits for one. While one is
        running, the job's concurrency decides as for a scheduled one.

        Raises:
            NotFoundError: There is no such job.

        Retries: repeated; it runs once.
        """
        check_name(name)
        request = Request(id=_rules.new_id(), at=self._clock())
        self._store.change(name, lambda job: _rules.requested(job, request))
        self._leader.wake()
        return request.id

    def pause(self, name: str) -> None:
        """Suspend a job: no scheduled run begins from now on, in any process. Running ones go on.

        Raises:
            NotFoundError: There is no such job.

        Retries: repeated.
        """
        check_name(name)
        self._store.change(name, _rules.suspended)

    def resume(self, name: str) -> None:
        """Let a job run again from its next time after now on; runs that were due meanwhile are left out.

        It also sets right a next run that a wrong clock has moved far away.

        Raises:
            NotFoundError: There is no such job.

        Retries: repeated.
        """
        check_name(name)
        now = self._clock()
        self._store.change(name, lambda job: _rules.resumed(job, now))
        self._leader.wake()

    def remove(self, name: str) -> bool:
        """Remove a job with its history and its handler in this process, and return whether there was one.

        A run that is running is told to stop, and its outcome is not stored. A process that still has a handler for the
        job stores it again within a second: remove it from the program first.

        Retries: repeated; a repeat after a lost answer returns `False`.
        """
        check_name(name)
        return self._leader.drop(name, partial(self._store.remove, name))

    def summary(self) -> str:
        """See `Portable.summary`."""
        return counted(sum(1 for _ in self._store.names()), "job")

    # Life cycle

    def stop(self) -> None:
        """Begin no more runs, and set `Run.stop` of those that run. Others lead the jobs when these have ended."""
        self._is_stopped = True
        self._leader.stop()

    @call_traits(waits=True)
    def drain(self, timeout_s: float) -> None:
        """Wait for runs after `stop`, for at most *timeout_s*; those that run on are left, and count as lost."""
        if not self._leader.join(timeout_s):
            self._leader.leave_runs()

    @call_traits(waits=True)
    def close(self) -> None:
        """Stop, wait for runs, release the jobs, and close connections. A second `close` does nothing.

        Called by a handler, it does not wait: the run counts as lost.
        """
        self.stop()
        self._leader.join(None)
        self._locks.close()
        self._store.driver = closed("schedule", self.name)
        super().close()

    def forget(self) -> None:
        """Drop the state that a fork copied into this child: handlers stay, jobs are led after another `start`."""
        self._leader.forget()
        self._locks.forget()
        super().forget()

    def _check_open(self) -> None:
        if self._is_stopped:
            raise ClosedError(
                f"schedule {self.name!r} is stopped; nothing was done. Open it again through a runtime."
            )
