"""Beat: schedules survive restarts, one of several beats sends, clock changes fire once."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery.schedules import crontab

import capa_celery
from capa_celery import _beat
from capa_core import Runtime, use_runtime

pytestmark = pytest.mark.timeout(120)

BEAT = """
from proj import app
app.conf.beat_schedule = {
    "tick": {"task": "proj.mark", "schedule": 0.5, "args": ("tick",)},
}
"""


@pytest.fixture
def app() -> Iterator[Any]:
    with use_runtime(Runtime.in_memory()):
        app = capa_celery.Celery("beaten", backend="cache+memory://", set_as_current=False)
        app.conf.beat_schedule = {"every": {"task": "every", "schedule": 60.0}}
        yield app


def waiting(app: Any) -> int:
    return app.capa.pubsub.depth("celery", "celery")


def due(scheduler: Any) -> None:
    """Let the entry have run last long enough ago."""
    scheduler.schedule["every"].last_run_at = scheduler.app.now() - timedelta(seconds=61)
    scheduler._heap = None


def test_a_due_task_is_sent_once(app: Any) -> None:
    scheduler = _beat.Scheduler(app)
    scheduler.tick()
    due(scheduler)
    for _ in range(5):
        scheduler.tick()

    assert waiting(app) == 1


def test_a_restart_does_not_repeat_finished_runs(app: Any) -> None:
    first = _beat.Scheduler(app)
    first.tick()
    due(first)
    first.tick()
    first.close()
    second = _beat.Scheduler(app)
    second.tick()

    assert (1, 1) == (waiting(app), second.schedule["every"].total_run_count)


def test_a_restart_sends_tasks_that_were_due_meanwhile(app: Any) -> None:
    ran = (app.now() - timedelta(hours=2)).isoformat()
    app.capa.state.put_json("celery-beat-beaten", {"every": [ran, 7]})
    scheduler = _beat.Scheduler(app)
    scheduler.tick()

    assert (1, 8) == (waiting(app), scheduler.schedule["every"].total_run_count)


def test_of_two_beats_one_sends_until_it_ends(app: Any) -> None:
    first, second = _beat.Scheduler(app), _beat.Scheduler(app)
    first.tick()
    due(second)
    second.tick()
    while_both = waiting(app)
    first.close()
    second.tick()
    due(second)
    second.tick()

    assert (0, 1) == (while_both, waiting(app))


@pytest.mark.parametrize(
    ("start", "days", "hour"),
    [
        pytest.param(datetime(2026, 10, 24, 22, tzinfo=UTC), 1, 2, id="the hour that comes twice in autumn"),
        pytest.param(datetime(2026, 3, 28, 22, tzinfo=UTC), 1, 2, id="the hour that is missing in spring"),
    ],
)
def test_a_daily_task_runs_once_when_the_clocks_change(
    app: Any, start: datetime, days: int, hour: int
) -> None:
    app.conf.timezone = "Europe/Berlin"
    now = start
    schedule = crontab(hour=hour, minute=30, nowfun=lambda: now.astimezone(app.timezone), app=app)
    last, fired = now.astimezone(app.timezone), 0
    while now < start + timedelta(days=days):
        if schedule.is_due(last)[0]:
            last, fired = now.astimezone(app.timezone), fired + 1
        now += timedelta(seconds=30)

    assert fired == days


@pytest.mark.parametrize("embedded", [False, True], ids=["beat", "worker -B"])
def test_a_beat_process_sends_and_a_worker_runs(project: Any, embedded: bool) -> None:
    (project.folder / "beaten.py").write_text(BEAT)
    command = [sys.executable, "-m", "capa_celery", "-A", "beaten"]
    if embedded:
        with project.process([*command, "worker", "-B", "-P", "solo", "-l", "INFO"]):
            project.wait_for_notes(6)
    else:
        with project.worker("-P", "solo"), project.process([*command, "beat", "-l", "INFO"]):
            project.wait_for_notes(6)

    assert ["begin tick", "end tick"] * 3 == project.notes()[:6]
    assert not list(project.folder.glob("celerybeat-schedule*"))


def test_two_beat_processes_send_as_often_as_one(project: Any) -> None:
    (project.folder / "beaten.py").write_text(BEAT)
    command = [sys.executable, "-m", "capa_celery", "-A", "beaten", "beat", "-l", "INFO"]
    with project.process(command), project.process(command):
        project.wait_until(lambda: project.depth() >= 2)
        before, begun = project.depth(), time.monotonic()
        project.wait_until(lambda: project.depth() >= before + 6)
        sent, passed_s = project.depth() - before, time.monotonic() - begun

    assert sent <= passed_s / 0.5 + 1  # two that knew nothing of each other would send twice as many
