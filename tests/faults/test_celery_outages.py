"""Celery workers and clients on Capa while their Redis server is away."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery_fleet import PATIENCE_S
from kombu.exceptions import OperationalError

from capa_core import Runtime, use_runtime
from capa_core.conformance import _tolerance

pytestmark = [pytest.mark.server("redis"), pytest.mark.timeout(240)]

APP = """
import os, time
from capa_celery import Celery

app = Celery("away", broker="redis://legacy.invalid/0", backend="redis://legacy.invalid/1")

@app.task(shared=False)
def slow(number, pause):
    time.sleep(pause)
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{number}\\n")
    return number
"""


@pytest.fixture
def setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_redis: Callable[..., Any]
) -> Iterator[tuple[Any, Any, Path]]:
    """Give a durable server that can be stopped, the application as a client, and its folder."""
    server = start_redis(appendonly="yes", appendfsync="always")
    tables = "".join(
        f'[{block}.default]\ndriver = "redis"\nurl = "{server.url}"\ndeadline_s = 2\n'
        for block in ("pubsub", "state", "lock")
    )
    (tmp_path / "capa.toml").write_text(f"[adapters.celery]\nlease_s = 2\n{tables}")
    (tmp_path / "away.py").write_text(APP)
    monkeypatch.syspath_prepend(tmp_path)
    with Runtime(file=tmp_path / "capa.toml") as runtime, use_runtime(runtime):
        yield server, __import__("away").app, tmp_path
        del sys.modules["away"]


@pytest.mark.parametrize("pool", ["solo", "threads", "prefork"])
def test_a_worker_outlives_its_server_and_loses_nothing(setting: Any, pool: str) -> None:
    server, app, folder = setting
    notes = folder / "notes"
    command = [sys.executable, "-m", "capa_celery", "-A", "away", "worker", "-P", pool, "-c", "2"]
    results = [app.tasks["away.slow"].delay(number, 0.1) for number in range(20)]
    environment = {**os.environ, "NOTES": str(notes), "PYTHONWARNINGS": "ignore"}
    with (folder / "log").open("wb") as log:
        worker = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        wait_until(lambda: notes.exists() and len(notes.read_text().split()) >= 4, worker)
        server.kill()
        time.sleep(1.5)
        server.start()
        values = [result.get(timeout=PATIENCE_S) for result in results]
        alive = worker.poll() is None
    finally:
        worker.kill()
        worker.wait()
        print((folder / "log").read_text()[-3000:])

    assert (list(range(20)), True) == (values, alive)


def test_a_worker_waits_for_a_server_that_is_not_there_yet(setting: Any) -> None:
    server, app, folder = setting
    result = app.tasks["away.slow"].delay(7, 0)
    server.kill()
    command = [sys.executable, "-m", "capa_celery", "-A", "away", "worker", "-P", "prefork", "-c", "1"]
    environment = {**os.environ, "NOTES": str(folder / "notes"), "PYTHONWARNINGS": "ignore"}
    log = folder / "log"
    with log.open("wb") as output:
        worker = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
    try:
        wait_until(lambda: b"cannot join queue" in log.read_bytes(), worker)
        server.start()

        assert result.get(timeout=PATIENCE_S) == 7
    finally:
        worker.kill()
        worker.wait()
        print(log.read_text()[-3000:])


def test_publishing_to_a_server_that_is_away_is_an_operational_error(setting: Any) -> None:
    server, app, _ = setting
    server.kill()
    start = time.monotonic()
    with pytest.raises(OperationalError):
        app.tasks["away.slow"].delay(1, 0)

    assert time.monotonic() - start < 15


def test_waiting_for_a_result_ends_in_time_when_the_server_is_away(setting: Any) -> None:
    server, app, _ = setting
    result = app.tasks["away.slow"].delay(1, 0)
    server.kill()
    start = time.monotonic()
    with pytest.raises(Exception, match="wait failed|timed out"):
        result.get(timeout=3)

    assert time.monotonic() - start < 8


def wait_until(condition: Callable[[], bool], worker: "subprocess.Popen[bytes]") -> None:
    _tolerance.wait_until(lambda: condition() or worker.poll() is not None, patience_s=PATIENCE_S)
    assert condition(), "the worker has ended"
