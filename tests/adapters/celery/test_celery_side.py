"""`side` of `[adapters.celery]`: with `legacy` an application is one of Celery itself, tested beside stock programs."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import celery
import celery.worker
import click
import pytest

import capa_celery
from capa_celery._worker.controller import WorkController
from capa_celery.contrib.testing.worker import start_worker
from capa_core import Runtime, use_runtime
from capa_core.errors import UnsupportedError

TASKS = """
import os
from {package} import Celery, chord, group

app = Celery("shop", broker=os.environ["URL"], backend=os.environ["URL"])

@app.task(name="add")
def add(x, y):
    return x + y

@app.task(name="total")
def total(numbers):
    return sum(numbers)

@app.task(name="chained")
def chained():
    return chord([add.s(1, 2), add.s(3, 4)])(total.s()).id
"""

pytestmark = [
    pytest.mark.server("redis"),
    # Celery's own result backend calls what redis-py has deprecated.
    pytest.mark.filterwarnings("ignore:Call to deprecated:DeprecationWarning"),
    # Celery's own transport and result backend leave sockets to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


@pytest.fixture
def start_program(tmp_path: Path, redis_url: str) -> Callable[..., Any]:
    """Give a function that runs a worker of *package*, `celery` or `capa_celery`, for the length of a `with` block."""

    @contextmanager
    def start(package: str, **environ: str) -> Iterator[None]:
        folder = tmp_path / package
        folder.mkdir()
        (folder / "shop.py").write_text(TASKS.format(package=package))
        environment = {**os.environ, "URL": redis_url, "PYTHONWARNINGS": "ignore", **environ}
        command = [sys.executable, "-m", package, "-A", "shop", "worker", "-l", "INFO", "-c", "1"]
        with (folder / "log").open("w+b") as log:
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
            try:
                yield
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                    if package != "celery":  # whose worker sometimes hangs there
                        raise
                finally:
                    print((folder / "log").read_text())

    return start


@pytest.fixture
def make_app(redis_url: str) -> Callable[[type], Any]:
    """Give a function that makes an application of either `Celery` class on the same address."""

    def make(kind: type) -> Any:
        app = kind("shop", broker=redis_url, backend=redis_url, set_as_current=False)
        app.conf.broker_connection_retry_on_startup = True

        @app.task(name="add", shared=False)
        def add(x, y):
            return x + y

        return app

    return make


@pytest.fixture
def legacy() -> Iterator[None]:
    """Have the original serve in this process; the components of Capa would be those in memory."""
    with Runtime.in_memory({"adapters": {"celery": {"side": "legacy"}}}) as runtime, use_runtime(runtime):
        yield


@pytest.mark.usefixtures("legacy")
def test_a_stock_worker_runs_what_a_legacy_application_sends(
    start_program: Callable[..., Any], make_app: Callable[[type], Any]
) -> None:
    app = make_app(capa_celery.Celery)
    with start_program("celery"):
        by_task = app.tasks["add"].delay(2, 3)
        by_name = app.send_task("add", (4, 5), countdown=0.1)

        assert [5, 9] == [by_task.get(timeout=40), by_name.get(timeout=20)]
        assert 7 + 3 == _result_of_the_chord(app, app.send_task("chained").get(timeout=20))
    app.close()


def test_a_legacy_worker_runs_what_a_stock_program_sends(
    start_program: Callable[..., Any], make_app: Callable[[type], Any]
) -> None:
    app = make_app(celery.Celery)
    with start_program("capa_celery", CAPA_ADAPTERS__CELERY__SIDE="legacy"):
        assert 5 == app.tasks["add"].delay(2, 3).get(timeout=40)
        assert 7 + 3 == _result_of_the_chord(app, app.send_task("chained").get(timeout=20))
        (answer,) = app.control.ping(timeout=2)
        assert [{"ok": "pong"}] == list(answer.values())
    app.close()


def _result_of_the_chord(app: Any, task_id: str) -> Any:
    return app.AsyncResult(task_id).get(timeout=20)


@pytest.mark.usefixtures("legacy")
def test_a_legacy_worker_in_a_thread_is_celerys_own(make_app: Callable[[type], Any]) -> None:
    app = make_app(capa_celery.Celery)
    with start_worker(app, perform_ping_check=False, loglevel="CRITICAL") as running:
        assert 5 == app.tasks["add"].delay(2, 3).get(timeout=20)
        assert not isinstance(running, WorkController)
    app.close()


@pytest.mark.usefixtures("legacy")
def test_a_legacy_worker_to_embed_is_celerys_own(make_app: Callable[[type], Any]) -> None:
    app = make_app(capa_celery.Celery)
    embedded = celery.worker.WorkController(app=app, hostname="embedded@here", pool="solo")

    assert "embedded@here" == embedded.hostname
    assert celery.worker.WorkController is type(embedded)
    app.close()


@pytest.mark.usefixtures("legacy")
def test_each_part_of_a_legacy_application_is_the_originals(make_app: Callable[[type], Any]) -> None:
    ours, theirs = make_app(capa_celery.Celery), make_app(celery.Celery)

    assert [_home(part) for part in _parts(theirs)] == [_home(part) for part in _parts(ours)]
    assert isinstance(ours, capa_celery.Celery)


def test_another_process_of_the_application_goes_back_to_capa(make_app: Callable[[type], Any]) -> None:
    with Runtime.in_memory({"adapters": {"celery": {"side": "capa"}}}) as runtime, use_runtime(runtime):
        parts = [_home(part) for part in _parts(make_app(capa_celery.Celery))]

    assert all(home.startswith("capa_celery.") for home in parts), parts


def _parts(app: Any) -> list[Any]:
    return [app.amqp, app.control, app.backend, app.WorkController(), app.connection()]


def _home(part: Any) -> str:
    """Return the class of *part*, below the class that Celery makes for each application."""
    kind = part if isinstance(part, type) else type(part)
    named = next(each for each in kind.__mro__ if "app" not in vars(each))
    return f"{named.__module__}.{named.__qualname__}"


@pytest.mark.parametrize("side", ["shadow", "canary"])
def test_a_side_that_is_not_available_is_refused_with_those_that_are(
    side: str, make_app: Callable[[type], Any]
) -> None:
    app = make_app(capa_celery.Celery)
    refused = pytest.raises(UnsupportedError, match=f"side '{side}' is not available yet.*'capa', 'legacy'")
    with use_runtime(Runtime.in_memory({"adapters": {"celery": {"side": side}}})), refused:
        app.tasks["add"].delay(2, 3)


@pytest.mark.parametrize(
    ("command", "side", "problem"),
    [
        ("worker", "canary", "is not available yet"),
        ("beat", "lgcy", "there is no side 'lgcy'"),
        ("status", "canary", "is not available yet"),
    ],
)
def test_a_command_prints_a_wrong_side_in_one_line(
    command: str, side: str, problem: str, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text("from capa_celery import Celery\napp = Celery('shop')\n")
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "shop", command],
        cwd=tmp_path,
        env={**os.environ, "CAPA_ADAPTERS__CELERY__SIDE": side},
        capture_output=True,
        text=True,
    )

    (line,) = done.stderr.splitlines()
    assert 69 == done.returncode
    assert line.startswith("Error: environment: CAPA_ADAPTERS__CELERY__SIDE: ")
    assert problem in line


def test_a_command_of_the_application_gets_the_error_itself(make_app: Callable[[type], Any]) -> None:
    app = make_app(capa_celery.Celery)
    own_command = click.Context(click.Command("own"))
    runtime = Runtime.in_memory({"adapters": {"celery": {"side": "canary"}}})
    with use_runtime(runtime), own_command, pytest.raises(UnsupportedError):
        app.Worker()
