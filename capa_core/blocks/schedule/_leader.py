"""The leader of the jobs of this process: one thread that acquires their locks, begins their runs, and stores the ends.

    read all jobs ─▶ store ends ─▶ lead what has work ─▶ claim what is due ─▶ a thread for each run

A run is claimed before it begins, by compare-and-set of its job's value. A leader that was paused past its lease finds
the value changed by the next one, and begins nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import datetime
from functools import partial, reduce
from typing import Any

from capa_core.blocks.lock import Held, Locks
from capa_core.blocks.schedule import _rules
from capa_core.blocks.schedule._failures import Failures
from capa_core.blocks.schedule._rules import Turn
from capa_core.blocks.schedule._run import Run
from capa_core.blocks.schedule._served import Ending, Handler, RunThread, Served
from capa_core.blocks.schedule._store import JobStore
from capa_core.blocks.schedule.driver import Job, Outcome
from capa_core.call import telemetry
from capa_core.errors import CapaError, DataLossError, LockLostError
from capa_core.supervision import SupervisedThread, as_text, end_forked_child

_TICK_S = 1.0
"""The longest rest between two rounds: so soon a request, a change by another process, or a dead leader is seen."""
_TICKS_IN_LEASE = 4
_LONGEST_DETAIL = 500


class Leader:
    """Leads jobs from `start` to `stop`. Safe for many threads."""

    def __init__(
        self, name: str, store: JobStore, locks: Locks, *, lease_s: float, clock: Callable[[], datetime]
    ) -> None:
        self._name = name
        self._store = store
        self._locks = locks
        self._lease_s = lease_s
        self._clock = clock
        self._tick_s = min(_TICK_S, lease_s / _TICKS_IN_LEASE)
        self._served: dict[str, Served] = {}
        self._failures = Failures(self._log)
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._round_lock = threading.Lock()
        self._woken = False
        self._stopping = False
        self._leaving = False

    # --- called by the application

    def add(self, one: Served) -> bool:
        """Serve a job from now on; return false if there is one of its name."""
        with self._changed:
            if one.name in self._served:
                return False
            self._served[one.name] = one
            self._wake()
            return True

    def handler(self, name: str) -> Handler | None:
        """Return the handler of a job; `None` if there is none."""
        with self._changed:
            return one.handler if (one := self._served.get(name)) else None

    def leave(self, name: str, one: Served, drain: bool, timeout_s: float | None) -> None:
        """Serve a job no longer, and wait for the ends of its runs if *drain*."""
        with self._changed:
            if self._served.get(name) is not one:
                return
            one.is_leaving = True
            if self._thread is None:
                del self._served[name]
                return
            one.stop_runs()
            self._wake()
            if drain:
                self._changed.wait_for(lambda: self._served.get(name) is not one, timeout_s)

    def drop(self, name: str, remove: Callable[[], bool]) -> bool:
        """Serve a job no longer, call *remove* while no round would store the job again, and return its result."""
        with self._round_lock:
            with self._changed:
                if one := self._served.get(name):
                    one.is_leaving = True
                    one.stop_runs()
            removed = remove()
            if one:
                self._leave_if_done(one)
            return removed

    def start(self) -> None:
        """Begin to lead; do nothing if it has begun."""
        with self._changed:
            if self._thread is None and not self._stopping:
                thread = SupervisedThread(
                    f"capa-schedule-leader-{self._name}",
                    self._lead,
                    log=self._log,
                    stopping=self._ended.is_set,
                )
                self._thread = thread  # first: `join` must wait for it also if a signal ends the start
                try:
                    thread.start()
                except RuntimeError:  # no thread could be started
                    self._thread = None
                    raise

    def stop(self) -> None:
        """Begin no more runs, and tell those that run."""
        with self._changed:
            self._stopping = True
            for one in self._served.values():
                one.stop_runs()
            self._wake()

    def join(self, timeout_s: float | None) -> bool:
        """Wait for the end of the leader and of all runs, and return whether it came; at once if called by a run."""
        if self._thread is None or isinstance(threading.current_thread(), RunThread):
            return True
        return self._ended.wait(timeout_s)  # a `Thread.join` that a signal interrupts marks it as ended

    def leave_runs(self) -> None:
        """End without waiting for the runs: the next leader counts them as lost."""
        with self._changed:
            self._leaving = True
            self._wake()

    def wake(self) -> None:
        """Look at the jobs now."""
        with self._changed:
            self._wake()

    def forget(self) -> None:
        """In a forked child: keep the handlers, and leave locks and runs to the parent."""
        self._begin_anew()
        for one in self._served.values():
            one.held = None
            one.is_tried = False
            one.running, one.endings, one.replaced = {}, [], set()

    def _wake(self) -> None:
        self._woken = True
        self._changed.notify_all()

    # --- the thread

    def _lead(self) -> None:
        try:
            self._lead_until_over()
        finally:
            if self._is_over():
                self._ended.set()

    def _lead_until_over(self) -> None:
        while not self._is_over():
            with self._round_lock:
                rest_s = self._round()
            with self._changed:
                self._changed.wait_for(lambda: self._woken, rest_s)
                self._woken = False
        with self._changed:
            served = list(self._served.values())
            self._served.clear()
            self._changed.notify_all()
        for one in served:
            if not self._release(one):
                return  # the engine does not answer: do not wait for it once more for each job

    def _is_over(self) -> bool:
        with self._changed:
            return self._stopping and (self._leaving or all(map(_is_done, self._served.values())))

    def _round(self) -> float:
        """Do for each job what is to be done now, and return the seconds until the next look."""
        with self._changed:
            served = list(self._served.values())
        served = [one for one in served if not self._leave_if_done(one)]
        jobs = self._read(served)
        for one in served:
            try:
                if one.name in jobs:
                    self._attend(one, jobs[one.name])
            except LockLostError as error:
                self._lose(one, str(error))
            except Exception as error:  # noqa: BLE001 - one job must not keep the others from being led
                self._failures.of_job(one.name, error)
        self._failures.end_round()
        return self._rest_s(served)

    def _read(self, served: list[Served]) -> dict[str, Job | None]:
        names = [one.name for one in served]
        try:
            return dict(zip(names, self._store.read(names), strict=True))
        except DataLossError:
            return self._read_apart(names)
        except CapaError as error:
            self._failures.of_engine(error)
            return {}

    def _read_apart(self, names: list[str]) -> dict[str, Job | None]:
        """Return those of the jobs that can be read."""
        found: dict[str, Job | None] = {}
        for name in names:
            try:
                (found[name],) = self._store.read([name])
            except CapaError as error:
                self._failures.of_job(name, error)
        return found

    def _attend(self, one: Served, job: Job | None) -> None:
        if job is None and one.is_leaving:
            with self._changed:
                one.endings.clear()  # it was removed
            self._leave_if_done(one)
            return
        if job is None or not (one.is_declared or one.is_leaving):
            job = self._declare(one)
        job = self._store_endings(one, job)
        if one.is_leaving or self._stopping:
            self._leave_if_done(one)
            return
        one.next_at = job.next_at if not job.suspended else None
        if held := self._acquired(one, job):
            self._serve(one, held, job)

    def _declare(self, one: Served) -> Job:
        if one.is_declared:
            self._log().warning(
                "the engine has lost a job, or somebody removed it; it is stored again", job=one.name
            )
        now, again = self._clock(), one.is_declared
        job = self._store.make(
            one.name, lambda job: _rules.declared(job, one.name, one.spec, now, again=again)
        )
        one.is_declared = True
        return job

    def _store_endings(self, one: Served, job: Job) -> Job:
        with self._changed:
            endings = list(one.endings)
        if not endings:
            return job
        for ending in endings:
            if all(run.id != ending.id for run in job.running):
                self._log().warning(
                    "a run ended after its leader was replaced; it counts as lost",
                    job=one.name,
                    run=ending.id,
                    outcome=str(ending.outcome),
                )
        job = self._store.change(one.name, lambda job: reduce(_ended, endings, job))
        with self._changed:
            one.endings = one.endings[len(endings) :]
        return job

    def _acquired(self, one: Served, job: Job) -> Held | None:
        """Return the lock of the job if this process has it, or can have it and there is a reason to."""
        if one.held is not None and one.held.lost.is_set():
            self._lose(one, "its lock was lost")
        if one.held is None and (not one.is_tried or _rules.has_work(job, self._clock())):
            one.held = self._locks.lock(one.name, lease=self._lease_s).try_acquire()
            one.is_tried = True
        return one.held

    def _serve(self, one: Served, held: Held, job: Job) -> None:
        """Take the job over if that was not done yet, and begin the runs that are due."""
        turn = Turn(held.owner, held.token, self._clock())
        if job.token != turn.token:
            known = one.known()
            job = self._store.change(one.name, lambda job: _rules.taken_over(job, turn, known))
            self._begin(one, held, job)
        if _rules.must_stop(job, turn.now):
            with self._changed:
                one.make_way()
        if _rules.claimed(job, turn) is not job:
            job = self._store.change(one.name, lambda job: _rules.claimed(job, turn))
        one.next_at = job.next_at if not job.suspended else None
        self._begin(one, held, job)

    def _begin(self, one: Served, held: Held, job: Job) -> None:
        """Start the runs that this leader has claimed and that have not begun here."""
        for status in job.running:
            with self._changed:
                is_new = status.token == held.token and status.id not in one.known()
            if is_new:
                held.check()  # a pause may have come after the claim; the next leader counts the run as lost
                self._start(one, Run(one.name, status, held))

    def _start(self, one: Served, run: Run) -> None:
        with self._changed:
            one.running[run.id] = run
        try:
            RunThread(f"capa-schedule-run-{one.name}", partial(self._run, one, run), log=self._log).start()
        except RuntimeError as error:  # no thread could be started
            self._finish(one, run, Outcome.FAILED, _told(error))

    def _leave_if_done(self, one: Served) -> bool:
        """Serve no longer a job that is to be left, once nothing of it is left to do; return whether it is left now."""
        with self._changed:
            leaves = one.is_leaving and _is_done(one)
        if leaves:
            self._release(one)
            with self._changed:
                self._served.pop(one.name, None)
                self._changed.notify_all()
        return leaves

    def _lose(self, one: Served, reason: str) -> None:
        self._log().warning("this process leads a job no longer", job=one.name, reason=reason)
        held, one.held = one.held, None
        if held is not None and not held.lost.is_set():
            self._free(held)

    def _release(self, one: Served) -> bool:
        """Free the lock of a job, and return whether that went well."""
        held, one.held = one.held, None
        if held is None or one.running:  # the lock of runs that are left running ends with its lease
            return True
        return self._free(held)

    def _free(self, held: Held) -> bool:
        try:
            held.release()
        except CapaError as error:
            self._log().info("a job's lock was not released, it ends with its lease", error=str(error))
            return False
        return True

    def _rest_s(self, served: list[Served]) -> float:
        now = self._clock()
        led = [one.next_at for one in served if one.held is not None and one.next_at is not None]
        coming = [(at - now).total_seconds() for at in led if at > now]
        return min([self._tick_s, *coming])

    def _log(self) -> Any:
        return telemetry.logger("schedule", self._name)

    # --- the runs

    def _run(self, one: Served, run: Run) -> None:
        process = os.getpid()
        try:
            try:
                with telemetry.span(
                    "schedule run", {"capa.job": one.name, "capa.run": run.id}, kind="INTERNAL"
                ):
                    one.handler(run)
            finally:
                end_forked_child(process)
        except BaseException as error:  # noqa: BLE001 - even an exit: a run must not stay running for ever
            try:
                self._log().warning("a run failed", job=one.name, run=run.id, traceback=as_text(error))
            finally:
                self._finish(one, run, Outcome.FAILED, _told(error))
        else:
            self._finish(one, run, Outcome.REPLACED if run.id in one.replaced else Outcome.SUCCEEDED, "")

    def _finish(self, one: Served, run: Run, outcome: Outcome, detail: str) -> None:
        with self._changed:
            if one.running.pop(run.id, None) is None:  # of a parent, before the fork
                return
            one.replaced.discard(run.id)
            one.endings.append(Ending(run.id, outcome, detail, self._clock()))
            self._wake()


def _is_done(one: Served) -> bool:
    """Return whether nothing is left to do for a job at the end; without its lock the ends are the next leader's."""
    return not one.running and (not one.endings or one.held is None or one.held.lost.is_set())


def _ended(job: Job, ending: Ending) -> Job:
    return _rules.ended(job, ending.id, ending.outcome, ending.detail, ending.at)


def _told(error: BaseException) -> str:
    """Return the type and the text of an error of the application, as text that every engine can store."""
    try:
        text = str(error)
    except Exception as failure:  # noqa: BLE001 - `__str__` is the application's too
        text = f"its text cannot be had: {type(failure).__name__}"
    told = f"{type(error).__name__}: {text}"[:_LONGEST_DETAIL]
    return told.encode(errors="backslashreplace").decode()  # a file name may hold bytes that are not text
