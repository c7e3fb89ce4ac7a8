"""Rate limits of tasks: a token bucket for each, by a clock of the test, and in workers."""

from collections.abc import Callable
from typing import Any

import pytest
from kombu.utils import limits as token_buckets

from capa_celery._worker import _rate_limits
from capa_celery._worker._rate_limits import RateLimits, rate_of
from capa_core.conformance._tolerance import wait_until
from capa_core.errors import InvalidArgumentError


class Clock:
    """A clock that stands until the test moves it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Task:
    def __init__(self, name: str, rate_limit: Any) -> None:
        self.name = name
        self.rate_limit = rate_limit


class Job:
    """A job of the task *name*."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.put = False


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(token_buckets, "monotonic", clock)
    monkeypatch.setattr(_rate_limits.time, "monotonic", clock)
    return clock


class Line:
    """Rate limits over tasks, whose jobs go to the list `begun`."""

    def __init__(self, **rates: Any) -> None:
        self.tasks = {name: Task(name, rate) for name, rate in rates.items()}
        self.begun: list[Any] = []
        self.room = 1000
        self.limits = RateLimits(
            self.tasks, lambda job: job.name, self._begin, lambda: len(self.begun) < self.room
        )

    def _begin(self, job: Any) -> None:
        self.begun.append(job)

    def jobs(self, name: str, count: int) -> tuple[list[Any], dict[float, int]]:
        """Let jobs come; return those to begin at once, and how many are put off, by seconds."""
        now, later = self.limits.admit([Job(name) for _ in range(count)])  # type: ignore[misc]
        self.begun += [job for job in now if self.tasks[name].rate_limit]
        return now, {delay_s: len(jobs) for delay_s, jobs in later.items()}


def test_jobs_begin_as_tokens_come(clock: Clock) -> None:
    line = Line(add="2/s", other=None)
    passed, _ = line.jobs("other", 3)
    line.jobs("add", 4)
    counts = []
    for _ in range(7):
        wait_s = line.limits.start_due()
        counts.append(len(line.begun))
        clock.now_s += 0.25

    assert 3 == len(passed)
    assert [1, 1, 2, 2, 3, 3, 4] == counts
    assert _rate_limits.LOOK_S == wait_s
    assert (None, 0) == (line.limits.start_due(), len(line.limits))


def test_a_pause_saves_up_one_token(clock: Clock) -> None:
    line = Line(add=10)
    clock.now_s += 60
    line.jobs("add", 5)
    wait_s = line.limits.start_due()

    assert (1, 0.1) == (len(line.begun), round(wait_s or 0, 6))


def test_no_token_is_spent_while_the_pool_is_full(clock: Clock) -> None:
    line = Line(add="1/m")
    line.room = 0
    line.jobs("add", 1)
    line.limits.start_due()
    line.room = 1
    line.limits.start_due()

    assert 1 == len(line.begun)


def test_a_long_line_is_put_off_until_its_turns(clock: Clock) -> None:
    line = Line(add="6/m")
    _, put_off = line.jobs("add", 30)

    assert 2 == len(line.limits)
    # Turns are 10 s apart. Each job comes some seconds before its own, but in a minute at the latest.
    assert {15.0: 1, 25.0: 1, 35.0: 1, 45.0: 1, 55.0: 1, 60.0: 22} == put_off


def test_few_of_a_very_long_line_come_again_in_a_second(clock: Clock) -> None:
    line = Line(add="1/h")
    _, put_off = line.jobs("add", 50_000)
    busiest = max(count for delay_s, count in put_off.items() if delay_s > _rate_limits.LONGEST_PUT_OFF_S)

    assert _rate_limits.MOST_PUT_OFF_PER_S == busiest


def test_jobs_that_come_again_fill_the_line(clock: Clock) -> None:
    """All turns are used, although most of the line is in the engine."""
    line = Line(add="7.5/m")
    engine = {clock.now_s: 30}
    while clock.now_s <= 1000 + 8 * 29:
        for due_s in sorted(due_s for due_s in engine if due_s <= clock.now_s):
            _, put_off = line.jobs("add", engine.pop(due_s))
            for delay_s, count in put_off.items():
                engine[clock.now_s + delay_s] = engine.get(clock.now_s + delay_s, 0) + count
        line.limits.start_due()
        clock.now_s += 1

    assert 30 == len(line.begun)


def test_a_new_limit_holds_at_once_for_the_jobs_that_wait(clock: Clock) -> None:
    line = Line(add="1/h")
    line.jobs("add", 2)
    line.limits.start_due()
    line.tasks["add"].rate_limit = None
    freed = line.limits.reset()

    assert (1, 1, 0) == (len(line.begun), len(freed), len(line.limits))
    assert ([Job], {}) == ([type(job) for job in line.jobs("add", 1)[0]], {})


def test_a_task_that_is_registered_later_is_limited_too(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    line = Line(add=None)
    line.tasks["late"] = Task("late", "1/s")
    line.tasks["wrong"] = Task("wrong", "often")

    assert 1 == len(line.jobs("late", 2)[0])
    assert 2 == len(line.jobs("wrong", 2)[0])
    assert "'often' is no rate" in caplog.text


def test_a_job_whose_start_failed_is_started_again_and_never_twice(clock: Clock) -> None:
    line = Line(add="1/s")
    tried: list[Any] = []

    def begin(job: Any) -> None:
        tried.append(job)
        job.put = len(tried) > 1
        raise SystemExit

    line.limits._start_job = begin
    line.room = 0
    line.jobs("add", 1)
    line.room = 1
    for _ in range(2):
        with pytest.raises(SystemExit):
            line.limits.start_due()
        clock.now_s += 1
    line.limits.start_due()

    assert (2, 0) == (len(tried), len(line.limits))


@pytest.mark.parametrize(
    ("limit", "expected"), [(None, 0), (0, 0), ("0/s", 0), (3, 3), ("2", 2), ("30/m", 0.5), ("36/h", 0.01)]
)
def test_a_rate_is_what_celery_takes_it_for(limit: Any, expected: float) -> None:
    assert expected == rate_of(Task("add", limit))


@pytest.mark.parametrize("limit", ["often", "3/y", "-1/s", "inf", "nan", object(), [1]])
def test_what_is_no_rate_is_named_with_its_task(limit: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="task 'add': its rate_limit .* is no rate"):
        rate_of(Task("add", limit))


# In workers

NEVER = "1/h"
"""A limit by which the first task runs, and no other while a test lasts."""


@pytest.fixture
def limited(memory_app: Any) -> Any:
    """An application with the task `limited`, which begins once an hour."""

    @memory_app.task(name="limited", shared=False, rate_limit=NEVER, bind=True)
    def limited(self: Any, number: int) -> int:
        memory_app.seen.append(number)
        return number

    return memory_app


POOLS = [{"pool": "solo"}, {"pool": "threads", "concurrency": 2}]


@pytest.mark.parametrize("options", POOLS, ids=lambda options: options["pool"])
def test_a_limited_task_blocks_no_other(limited: Any, serving: Callable[..., Any], options: Any) -> None:
    for number in range(600):  # more than any worker receives ahead
        limited.tasks["limited"].delay(number)
    others = [limited.tasks["add"].delay(number, 1) for number in range(20)]
    with serving(limited, **options):
        assert [number + 1 for number in range(20)] == [result.get(timeout=20) for result in others]
        wait_until(lambda: limited.seen)
        assert 1 == len(limited.seen)

    assert 599 == limited.capa.pubsub.depth("celery", "celery")


def test_the_limit_is_changed_and_shown_by_remote_control(limited: Any, serving: Callable[..., Any]) -> None:
    results = [limited.tasks["limited"].delay(number) for number in range(3)]
    with serving(limited) as worker:
        consumer = worker.consumer
        wait_until(lambda: limited.seen and len(consumer._limits) == 2)
        inspect = limited.control.inspect(destination=[worker.hostname])
        shown = inspect.registered()[worker.hostname], len(inspect.reserved()[worker.hostname])
        held = [message for intake in consumer._intakes.values() for message in intake.held()]
        leased = list(consumer._worked_on(held))
        answers = [
            limited.control.rate_limit("limited", rate, reply=True, limit=1)[0][worker.hostname]
            for rate in ("often", "1/h", 0)
        ]

        assert [0, 1, 2] == sorted(result.get(timeout=20) for result in results)
    assert 2 == len(leased)
    assert "limited [rate_limit=1/h]" in shown[0]
    assert 2 == shown[1]
    assert "Invalid rate limit string" in answers[0]["error"]
    assert [
        "new rate limit set successfully",
        "rate limit disabled successfully",
    ] == [answer["ok"] for answer in answers[1:]]


def test_a_task_that_is_revoked_while_it_waits_leaves_the_line(
    limited: Any, serving: Callable[..., Any]
) -> None:
    results = [limited.tasks["limited"].delay(number) for number in range(2)]
    with serving(limited) as worker:
        wait_until(lambda: limited.seen and len(worker.consumer._limits) == 1)
        waiting = next(result for number, result in enumerate(results) if number not in limited.seen)
        limited.control.revoke(waiting.id, reply=True, limit=1)

        wait_until(lambda: waiting.state == "REVOKED")
        assert 0 == len(worker.consumer._limits)


def test_a_worker_that_stops_gives_back_what_waits(limited: Any, serving: Callable[..., Any]) -> None:
    for number in range(3):
        limited.tasks["limited"].delay(number)
    with serving(limited):
        wait_until(lambda: limited.seen)
    redelivered = [
        message.delivery_count
        for message in limited.capa.pubsub.intake("celery", "celery", raw=True).receive(3)
    ]

    assert [1, 1] == redelivered


def test_rate_limits_may_be_disabled(limited: Any, serving: Callable[..., Any]) -> None:
    limited.conf.worker_disable_rate_limits = True
    results = [limited.tasks["limited"].delay(number) for number in range(3)]
    with serving(limited):
        assert [0, 1, 2] == [result.get(timeout=20) for result in results]


def test_the_default_limit_is_that_of_tasks_without_one(memory_app: Any, serving: Callable[..., Any]) -> None:
    memory_app.conf.task_default_rate_limit = NEVER
    for _ in range(3):
        memory_app.tasks["remember"].delay("x")
    with serving(memory_app) as worker:
        wait_until(lambda: memory_app.seen and len(worker.consumer._limits) == 2)

    assert ["x"] == memory_app.seen


@pytest.mark.filterwarnings("ignore::celery.exceptions.SecurityWarning")
def test_a_worker_of_a_task_with_a_wrong_limit_does_not_start(memory_app: Any) -> None:
    memory_app.tasks["add"].rate_limit = "often"

    with pytest.raises(InvalidArgumentError, match="'add'.*'often'"):
        memory_app.Worker(pool="solo")
