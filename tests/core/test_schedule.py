"""Schedules in one process: arguments, handlers, stops, outages; on the memory driver."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import count

import pytest

from capa_core import Runtime
from capa_core.blocks.schedule import Outcome, Schedule
from capa_core.blocks.state.driver import Put
from capa_core.call import Policy
from capa_core.components.memory.schedule import MemorySchedule, MemoryScheduleSettings
from capa_core.components.sqlite.schedule import SqliteSchedule, SqliteScheduleSettings
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import (
    ClosedError,
    ExhaustedError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)

START = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class Unknown(tzinfo):
    """A time zone that does not know its distance from UTC."""

    def utcoffset(self, moment):
        return None


class Flaky(MemorySchedule):
    """An engine that can be switched off, or only refuse writes, and that can lose the answers of its writes."""

    down = False
    is_full = False
    refused = 0
    lost_answers = 0

    def read(self, names):
        if self.down:
            raise UnavailableError("no engine")
        return super().read(names)

    def write(self, job, version):
        if self.down:
            raise UnavailableError("no engine")
        if self.is_full:
            self.refused += 1
            raise ExhaustedError("no space")
        written = super().write(job, version)
        if self.lost_answers:
            self.lost_answers -= 1
            raise UnavailableError("no answer")
        return written


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def driver():
    return Flaky(MemoryScheduleSettings())


@pytest.fixture
def schedule(driver, clock):
    with Schedule(driver, clock=clock, policy=Policy(backoff_s=0.001)) as schedule:
        yield schedule


def move(schedule, clock, **delta):
    clock.now += timedelta(**delta)
    schedule._leader.wake()


def history(schedule, name="k"):
    return [(str(run.outcome), run.missed) for run in schedule.history(name)]


def have_ended(schedule, number=1, name="k"):
    """Return whether the job has had so many runs, and none is running."""
    outcomes = [outcome for outcome, _ in history(schedule, name)]
    return len(outcomes) == number and "running" not in outcomes


def is_led(schedule, name="k"):
    job = schedule.get(name)
    return job is not None and job.token > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of cron, every and at: none was given"),
        ({"cron": "* * * * *", "every": 5}, "cron and every was given"),
        ({"every": 0.01}, "every is 0.01"),
        ({"every": timedelta(days=9_999)}, "every is"),
        ({"every": 5, "zone": "Europe/Berlin"}, "only cron has a zone"),
        ({"at": START.replace(tzinfo=None)}, "give a datetime with a time zone"),
        ({"at": "tomorrow"}, "give a datetime with a time zone"),
        ({"at": START.replace(tzinfo=Unknown())}, "give a datetime with a time zone"),
        ({"at": datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))}, "outside the years 1 to 9999"),
        ({"at": datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))}, "outside the years 1 to 9999"),
        ({"every": 5, "misfire": "al"}, "misfire is 'al'. Did you mean 'all'"),
        ({"every": 5, "misfire": None}, "misfire is None. Known: skip, once, all"),
        ({"every": 5, "concurrency": "Forbid"}, "concurrency is 'Forbid'. Did you mean 'forbid'"),
        ({"every": 5, "misfire": "all", "concurrency": "replace"}, "give 'forbid'"),
        ({"every": 5, "misfire_limit": 0}, "misfire_limit is 0"),
        ({"every": 5, "misfire_grace": -1}, "misfire_grace is -1"),
        ({"every": 5, "history_limit": 101}, "history_limit is 101"),
    ],
)
def test_a_wrong_definition_is_refused(schedule, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        schedule.add("k", print, **options)


def test_an_async_handler_is_for_the_async_face(schedule):
    async def handler(run):
        pass

    with pytest.raises(InvalidArgumentError, match="through capa_core.aio"):
        schedule.job("k", every=5)(handler)


def test_a_decorator_returns_the_function(schedule):
    assert print is schedule.job("k", every=5)(print)


def test_a_cron_runs_when_the_clock_comes_there(schedule, clock):
    runs = []
    schedule.add("k", runs.append, cron="0 3 * * *", zone="Europe/Berlin")
    schedule.start()
    wait_until(lambda: is_led(schedule))
    move(schedule, clock, hours=14)
    wait_until(lambda: have_ended(schedule))

    assert [datetime(2026, 1, 6, 2, tzinfo=UTC)] == [run.scheduled_at for run in runs]


def test_a_jump_of_the_clock_follows_the_misfire_rule_and_a_step_back_repeats_nothing(schedule, clock):
    for name, misfire in (("s", "skip"), ("o", "once"), ("a", "all")):
        schedule.add(name, lambda run: None, every=60, misfire=misfire, misfire_grace=5, misfire_limit=3)
    schedule.start()
    wait_until(lambda: all(is_led(schedule, name) for name in "soa"))
    move(schedule, clock, minutes=10, seconds=30)
    wait_until(
        lambda: all(have_ended(schedule, number, name) for name, number in (("s", 1), ("o", 1), ("a", 3)))
    )
    move(schedule, clock, minutes=-10)
    schedule.trigger("a")
    wait_until(lambda: have_ended(schedule, 4, "a"))

    assert [("missed", 9)] == history(schedule, "s")
    assert [("succeeded", 9)] == history(schedule, "o")
    assert [("succeeded", 0), ("succeeded", 0), ("succeeded", 0), ("succeeded", 7)] == history(schedule, "a")


def test_replace_tells_the_run_before_to_stop(schedule, clock):
    order, numbers = [], count()

    @schedule.job("k", every=60, concurrency="replace")
    def work(run):
        number = next(numbers)
        order.append(("begins", number))
        run.stop.wait(60 if number == 0 else 0)
        order.append(("ends", number))

    schedule.start()
    wait_until(lambda: is_led(schedule))
    move(schedule, clock, seconds=61)
    wait_until(lambda: order)
    move(schedule, clock, seconds=60)
    wait_until(lambda: have_ended(schedule, 2))

    assert [("begins", 0), ("ends", 0), ("begins", 1), ("ends", 1)] == order
    assert [("succeeded", 0), ("replaced", 0)] == history(schedule)


def test_the_lost_answer_of_a_claim_begins_one_run(schedule, driver, clock):
    runs = []
    schedule.add("k", runs.append, every=60)
    schedule.start()
    wait_until(lambda: is_led(schedule))
    driver.lost_answers = 1
    move(schedule, clock, seconds=61)
    wait_until(lambda: have_ended(schedule))

    assert 1 == len(runs)
    assert [("succeeded", 0)] == history(schedule)


def test_an_outage_is_logged_once_and_passes(schedule, driver, clock, caplog):
    runs = []
    schedule.add("k", runs.append, every=60)
    driver.down = True
    caplog.set_level("INFO", "capa.schedule")
    schedule.start()
    wait_until(lambda: "is tried again" in caplog.text)
    for _ in range(3):
        schedule._leader.wake()
    driver.down = False
    wait_until(lambda: is_led(schedule))
    move(schedule, clock, seconds=61)
    wait_until(lambda: runs)

    assert 1 == caplog.text.count("is tried again")
    assert 1 == caplog.text.count("answers again")


def test_an_engine_that_reads_and_refuses_writes_is_one_outage(schedule, driver, clock, caplog):
    driver.is_full = True
    schedule.add("k", print, every=60)
    caplog.set_level("INFO", "capa.schedule")
    schedule.start()
    for rounds in range(1, 4):  # a refused write is tried four times in a round
        wait_until(lambda rounds=rounds: driver.refused >= 4 * rounds)
        schedule._leader.wake()
    answered = caplog.text.count("answers again")
    driver.is_full = False
    wait_until(lambda: "answers again" in caplog.text)

    assert (0, 1) == (answered, caplog.text.count("is tried again"))


def test_the_end_of_a_run_is_stored_after_an_outage(schedule, driver, clock):
    go_on = threading.Event()
    schedule.add("k", lambda run: go_on.wait(60), every=60)
    schedule.start()
    wait_until(lambda: is_led(schedule))
    move(schedule, clock, seconds=61)
    wait_until(lambda: schedule._leader._roster.get("k").running)
    driver.down = True
    go_on.set()
    wait_until(lambda: schedule._leader._roster.get("k").endings)
    driver.down = False

    wait_until(lambda: history(schedule) == [("succeeded", 0)])


def test_a_job_that_another_program_overwrote_keeps_no_other_from_running(schedule, driver, clock, caplog):
    runs = []
    schedule.add("bad", runs.append, every=60)
    schedule.add("good", runs.append, every=60)
    schedule.start()
    wait_until(lambda: is_led(schedule, "bad") and is_led(schedule, "good"))
    driver.under.put(Put("job/bad", b"{}"))
    move(schedule, clock, seconds=61)
    wait_until(lambda: runs)

    assert ["good"] == [run.job for run in runs]
    assert "the stored job 'bad' cannot be read" in caplog.text
    assert schedule.remove("bad")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (lambda job: b"{}", "the stored job 'bad' cannot be read"),
        (lambda job: job.replace(b'"UTC"', b'"Mars/Base"'), "zone is 'Mars/Base'"),
    ],
    ids=["damaged", "of a zone that this machine does not know"],
)
def test_a_job_that_cannot_be_led_is_told_once_and_is_no_outage(
    schedule, driver, clock, caplog, value, reason
):
    runs = []
    schedule.add("bad", runs.append, cron="* * * * *")
    schedule.add("good", runs.append, every=60)
    caplog.set_level("INFO", "capa.schedule")
    schedule.start()
    wait_until(lambda: is_led(schedule, "bad") and is_led(schedule, "good"))
    driver.under.put(Put("job/bad", value(driver.under.get("job/bad").value)))
    for number in range(1, 4):
        move(schedule, clock, seconds=61)
        wait_until(lambda number=number: have_ended(schedule, number, "good"))

    assert ["good"] * 3 == [run.job for run in runs]
    assert (1, 1) == (caplog.text.count("is tried again"), caplog.text.count(reason))
    assert "engine" not in caplog.text


def test_a_close_leaves_a_run_after_the_drain_and_the_next_leader_calls_it_lost(clock, tmp_path):
    settings = SqliteScheduleSettings(folder=tmp_path, lease_s=1)
    begun, go_on = threading.Event(), threading.Event()
    schedule, follower = (Schedule(SqliteSchedule(settings), clock=clock) for _ in range(2))

    @schedule.job("k", at=START)
    def work(run):
        begun.set()
        go_on.wait(60)

    schedule.start()
    assert begun.wait(60)
    schedule.stop()
    schedule.drain(0.05)
    schedule.close()
    follower.add("k", print, at=START)
    follower.start()
    wait_until(lambda: [run.outcome for run in follower.history("k")] == [Outcome.LOST])
    go_on.set()
    follower.close()


def test_a_handler_can_close_its_own_schedule(clock, caplog):
    caplog.set_level("INFO", "capa.schedule")
    schedule = Schedule(MemorySchedule(MemoryScheduleSettings()), clock=clock)
    closed = threading.Event()

    @schedule.job("k", at=START)
    def work(run):
        schedule.close()
        closed.set()

    schedule.start()

    assert closed.wait(60)
    assert schedule.join(60)
    assert "not released" not in caplog.text
    with pytest.raises(ClosedError):
        schedule.start()


def test_a_removed_job_is_served_no_longer(schedule):
    for _ in range(20):  # a round that is under way must not store it again
        schedule.add("k", print, every=60)
        schedule.start()
        wait_until(lambda: schedule.get("k"))
        schedule.remove("k")

        assert (None, None) == (schedule.get("k"), schedule._leader.handler("k"))


def test_a_job_that_the_engine_lost_is_stored_again(schedule, driver, clock, caplog):
    runs = []
    schedule.add("k", runs.append, every=60)
    schedule.add("once", runs.append, at=START)
    schedule.start()
    wait_until(lambda: is_led(schedule) and have_ended(schedule, 1, "once"))
    driver.remove("k")
    driver.remove("once")
    schedule._leader.wake()
    wait_until(lambda: is_led(schedule) and is_led(schedule, "once"))
    move(schedule, clock, seconds=61)
    wait_until(lambda: have_ended(schedule))

    assert ["once", "k"] == [run.job for run in runs]
    assert 2 == caplog.text.count("it is stored again")


def test_a_registration_is_closed_while_the_engine_is_down(schedule, driver):
    registration = schedule.add("k", print, every=60)
    schedule.start()
    wait_until(lambda: is_led(schedule))
    driver.down = True
    registration.close()

    assert schedule._leader.handler("k") is None


def test_a_close_of_the_schedule_ends_that_of_a_registration(driver, clock):
    schedule, begun, go_on = Schedule(driver, clock=clock), threading.Event(), threading.Event()

    def work(run):
        begun.set()
        go_on.wait(60)

    registration = schedule.add("k", work, at=START)
    schedule.start()
    assert begun.wait(60)
    with ThreadPoolExecutor(1) as pool:
        closing = pool.submit(registration.close)
        schedule.stop()
        schedule.drain(0.05)
        schedule.close()
        closing.result(60)
    go_on.set()


def test_a_handler_can_be_executed_by_something_else(schedule, driver):
    runs = []
    schedule.add("k", runs.append, every=60)
    driver.down = True
    schedule.execute("k")
    (run,) = runs
    run.check()

    assert ("k", START, 0, False) == (run.job, run.scheduled_at, run.token, run.stop.is_set())
    with pytest.raises(NotFoundError, match="no handler for job 'j'"):
        schedule.execute("j")


def test_the_error_of_an_executed_handler_is_the_callers(schedule):
    schedule.add("k", lambda run: 1 / 0, every=60)
    with pytest.raises(ZeroDivisionError):
        schedule.execute("k")


def test_the_runtime_closes_a_schedule_before_what_its_handlers_use():
    runtime = Runtime.in_memory()
    schedule, state, found = runtime.schedule(), runtime.state(), []

    @schedule.job("k", at=START)
    def work(run):
        run.stop.wait(60)
        state.put("k", b"v")
        found.append(state.get("k"))

    schedule.start()
    wait_until(lambda: (job := schedule.get("k")) and job.running)
    runtime.close()

    assert [b"v"] == found
