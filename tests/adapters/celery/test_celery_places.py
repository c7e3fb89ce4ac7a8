"""Worker, beat and senders say at start what serves their broker and results, if it is not what the code names."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(120)

APP = """
from capa_celery import Celery

app = Celery("proj", broker="redis://:hunter2@redis.internal:6379/0", backend="rpc://")

@app.task
def add(a, b):
    return a + b
"""
TASKS = "tasks go to SQLite in .capa/, not to redis://redis.internal:6379/0."
RESULTS = "results go to SQLite in .capa/, not to rpc://."


@pytest.fixture
def printed(tmp_path: Path) -> Callable[..., str]:
    """Give a function that runs Python with the application until it has printed *until*, and returns all of it."""
    (tmp_path / "proj.py").write_text(APP)

    def run(*words: str, until: str, settings: str = "") -> str:
        if settings:
            (tmp_path / "capa.toml").write_text(settings)
        with subprocess.Popen(
            [sys.executable, *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            text = ""
            for line in process.stdout:
                text += line
                if until in line:
                    process.terminate()
        return text

    return run


CELERY = ("-m", "capa_celery", "-A", "proj")


@pytest.mark.parametrize("pool", ["solo", "prefork"])
def test_a_worker_tells_each_address_once_and_its_banner_has_the_engines(printed: Any, pool: str) -> None:
    text = printed(*CELERY, "worker", "-P", pool, "-c", "2", "-l", "INFO", until=" ready.")

    assert (1, 1) == (
        text.count(f"WARNING/MainProcess] {TASKS}"),
        text.count(f"WARNING/MainProcess] {RESULTS}"),
    )
    assert ".> transport:   capa://celery (SQLite in .capa/)\n" in text
    assert ".> results:     capa://celery (SQLite in .capa/)\n" in text
    assert "hunter2" not in text


def test_a_beat_tells_them_too(printed: Any) -> None:
    text = printed(*CELERY, "beat", "-l", "INFO", until=RESULTS)

    assert (1, 1) == (text.count(TASKS), text.count(RESULTS))
    assert ". schedule -> capa://celery (SQLite in .capa/)\n" in text
    assert ". tasks -> SQLite in .capa/\n" in text
    assert ". lock -> SQLite in .capa/\n" in text
    assert "hunter2" not in text


def test_a_program_that_sends_tells_once_at_its_first_task(printed: Any) -> None:
    program = "import proj; print('made'); proj.add.delay(1, 2); proj.add.delay(3, 4); print('sent')"

    lines = printed("-c", program, until="sent").splitlines()

    assert ["made", TASKS, RESULTS, "sent"] == [line.partition(" Name the ")[0] for line in lines]


def test_nothing_is_told_where_the_address_is_the_components_own(printed: Any) -> None:
    settings = '[{}.default]\ndriver = "redis"\nurl = "redis://redis.internal"\n'
    tables = settings.format("pubsub") + settings.format("state").replace("internal", "other")

    text = printed(
        "-c", "import proj; proj.app.capa.tell_places(); print('end')", until="end", settings=tables
    )

    assert TASKS.partition(" go to ")[0] not in text
    assert "results go to Redis at redis://redis.other, not to rpc://." in text
