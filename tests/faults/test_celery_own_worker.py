"""An application that Capa serves is served by Capa's worker and scheduler, from whatever code they are made."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import celery.apps.beat
import celery.apps.worker
import celery.beat
import celery.bootsteps
import celery.contrib.testing.worker
import celery.worker
import pytest
from celery.result import _set_task_join_will_block
from servers._process import free_port

import capa_celery
from capa_celery._beat import Scheduler
from capa_celery._worker.controller import WorkController
from capa_core import Runtime, use_runtime
from capa_core.errors import UnsupportedError

TESTING = celery.contrib.testing.worker
DOORS: dict[str, Callable[[Any], Any]] = {
    "celery.worker.WorkController": lambda app: celery.worker.WorkController(app=app, pool="solo"),
    "celery.apps.worker.Worker": lambda app: celery.apps.worker.Worker(app=app, pool="solo"),
    "TestWorkController": lambda app: TESTING.TestWorkController(app=app, pool="solo"),
    "app.Worker": lambda app: app.Worker(pool="solo"),
    "app.WorkController": lambda app: app.WorkController(pool="solo"),
    "capa_celery.worker": lambda app: capa_celery.worker.WorkController(app, pool="solo"),
    "current_app": lambda app: (
        app.set_current() or celery.worker.WorkController(celery.current_app, pool="solo")
    ),
}


@pytest.fixture
def app() -> Iterator[Any]:
    with use_runtime(Runtime.in_memory()):
        yield capa_celery.Celery("served", backend="cache+memory://", set_as_current=False)
    _set_task_join_will_block(False)  # as each worker has set it


@pytest.mark.filterwarnings("ignore::celery.exceptions.SecurityWarning")  # the tests may run as root
@pytest.mark.parametrize("door", DOORS)
def test_its_worker_is_capas(app: Any, door: str) -> None:
    assert isinstance(DOORS[door](app), WorkController)


def test_the_worker_of_celerys_own_application_is_celerys() -> None:
    own = celery.Celery("own", broker="memory://", set_as_current=False)

    assert celery.worker.WorkController is type(celery.worker.WorkController(app=own, pool="solo"))


def test_a_worker_class_of_the_application_keeps_its_methods(app: Any) -> None:
    class Counting(celery.worker.WorkController):  # type: ignore[misc] # celery is not typed
        def on_before_init(self, **_: Any) -> None:
            self.counted = 1

    worker = Counting(app=app, pool="solo")

    assert (True, 1) == (isinstance(worker, WorkController), worker.counted)


def test_a_worker_class_with_a_blueprint_of_its_own_is_refused(app: Any) -> None:
    class Other(celery.worker.WorkController):  # type: ignore[misc] # as above
        class Blueprint(celery.worker.WorkController.Blueprint):  # type: ignore[misc] # as above
            pass

    with pytest.raises(UnsupportedError, match="Other.*blueprint.*app.steps"):
        Other(app=app, pool="solo")


@pytest.mark.parametrize(
    "scheduler",
    [
        lambda app: celery.beat.Service(app).scheduler,
        lambda app: celery.apps.beat.Beat(app=app).Service(app=app, schedule_filename="x").scheduler,
        lambda app: app.Beat().Service(app=app).scheduler,
        lambda app: celery.beat.PersistentScheduler(app, schedule_filename="x"),
    ],
    ids=["Service", "apps.beat", "app.Beat", "PersistentScheduler"],
)
def test_its_scheduler_is_capas(
    app: Any, scheduler: Callable[[Any], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = scheduler(app)
    made.tick()

    assert (Scheduler, []) == (type(made), list(tmp_path.iterdir()))


@pytest.mark.skipif(celery.VERSION < (5, 7), reason="beat has remote control since Celery 5.7")
@pytest.mark.parametrize("asked", ["--enable-remote-control", "beat_enable_remote_control"])
def test_beat_says_that_its_remote_control_is_not_served(
    app: Any, asked: str, caplog: pytest.LogCaptureFixture
) -> None:
    app.conf.beat_enable_remote_control = asked == "beat_enable_remote_control"
    service = celery.beat.Service(app, remote_control=asked.startswith("--") or None)

    assert not service.remote_control
    assert ["remote control of beat is not served"] == [line.split(":")[0] for line in caplog.messages]


def test_start_worker_raises_why_the_worker_cannot_start(app: Any) -> None:
    class Failing(celery.bootsteps.StartStopStep):  # type: ignore[misc] # as above
        def start(self, parent: object) -> None:
            raise LookupError("no room")

    app.steps["worker"].add(Failing)
    worker = TESTING.start_worker(app, perform_ping_check=False)
    with pytest.raises(RuntimeError, match=r"ended before it was ready: LookupError\('no room'\)") as raised:
        worker.__enter__()

    assert LookupError is type(raised.value.__cause__)


def test_start_worker_raises_that_the_engine_is_away() -> None:
    url = f"redis://127.0.0.1:{free_port()}"
    components = {
        block: {"default": {"driver": "redis", "url": url}} for block in ("pubsub", "state", "lock")
    }
    with use_runtime(Runtime(components, environ={})):
        away = capa_celery.Celery("away", backend="cache+memory://", set_as_current=False)
        worker = TESTING.start_worker(away, perform_ping_check=False)
        with pytest.raises(RuntimeError, match="ended before it was ready: UnavailableError"):
            worker.__enter__()


def test_a_scheduler_of_another_package_stays(app: Any) -> None:
    class Database(celery.beat.PersistentScheduler):  # type: ignore[misc] # as above
        def setup_schedule(self) -> None:
            """Keep no file."""

    assert Database is type(celery.beat.Service(app, scheduler_cls=Database).scheduler)


SUITE = """
import pytest
from celery.contrib.testing.worker import start_worker
from celery.exceptions import Reject
import capa_celery
from capa_core import Runtime, use_runtime

pytest_plugins = ["celery.contrib.pytest"]
runs = []

@pytest.fixture(scope="session", autouse=True)
def memory():
    with use_runtime(Runtime.in_memory()):
        yield

@pytest.fixture(scope="session")
def celery_session_app(): return application()

@pytest.fixture
def celery_app(): return application()

def application():
    app = capa_celery.Celery("tested", broker="redis://legacy.invalid", backend="redis://legacy.invalid")
    import celery.contrib.testing.tasks

    @app.task(bind=True, shared=False)
    def again(self):
        runs.append(self.request.id)
        if not self.request.delivery_info["redelivered"]:
            raise Reject("once more", requeue=True)
        return "done"

    app.again = again
    return app

def check(app, worker):
    del runs[:]
    assert "capa_celery._worker.controller" in {each.__module__ for each in type(worker).__mro__}
    result = app.again.delay()
    assert "done" == result.get(timeout=10)
    revoked = app.again.apply_async(countdown=0.5)
    revoked.revoke()
    with pytest.raises(capa_celery.exceptions.TaskRevokedError):
        revoked.get(timeout=10)
    assert [result.id] * 2 == runs

def test_celery_worker(celery_app, celery_worker): check(celery_app, celery_worker)

def test_celery_session_worker(celery_session_app, celery_session_worker):
    celery_session_app.set_current()
    check(celery_session_app, celery_session_worker)

def test_start_worker(celery_app):
    with start_worker(celery_app) as worker:
        check(celery_app, worker)
"""


def test_fixtures_of_celery_run_capas_worker(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert (0, True) == (done.returncode, "3 passed" in done.stdout), done.stdout
