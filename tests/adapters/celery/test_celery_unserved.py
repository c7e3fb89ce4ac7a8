"""A worker or beat whose profile forgot a block refuses to start, and says what to add."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import capa_celery
from capa_core import Runtime, use_runtime
from capa_core.errors import SettingsError, UnknownNameError

APP = """
from capa_celery import Celery

app = Celery("proj", broker="redis://redis.internal:6379/0", backend="redis://redis.internal:6379/0")
"""
TABLE = '[profiles.prod.{block}.default]\ndriver = "redis"\nurl = "redis://127.0.0.1:1/0"\n'


@pytest.fixture
def started(tmp_path: Path) -> Callable[..., Any]:
    """Give a function that runs a command of `celery` in the profile `prod`, which has tables for some blocks."""

    def run(served: str, *words: str) -> "subprocess.CompletedProcess[str]":
        (tmp_path / "proj.py").write_text(APP)
        (tmp_path / "capa.toml").write_text("".join(TABLE.format(block=block) for block in served.split()))
        return subprocess.run(
            [sys.executable, "-m", "capa_celery", "-A", "proj", *words],
            cwd=tmp_path,
            env={**os.environ, "CAPA_PROFILE": "prod", "PYTHONWARNINGS": "ignore"},
            capture_output=True,
            text=True,
            timeout=50,
        )

    return run


@pytest.mark.parametrize(
    ("served", "words", "missing"),
    [
        ("state lock", ["worker"], ["pubsub"]),
        ("pubsub state", ["worker", "-B"], ["lock"]),
        ("pubsub", ["beat"], ["state", "lock"]),
    ],
)
def test_a_command_ends_with_the_lines_to_add(
    started: Any, tmp_path: Path, served: str, words: list[str], missing: list[str]
) -> None:
    done = started(served, *words)

    assert 69 == done.returncode
    for block in missing:
        assert f"nothing serves {block} 'celery', because profile 'prod' is chosen" in done.stderr
        assert TABLE.format(block=block) in done.stderr
    assert not (tmp_path / ".capa").exists()


@pytest.mark.parametrize(
    ("served", "beat", "missing"), [("pubsub lock", False, "state"), ("pubsub state", True, "lock")]
)
def test_the_application_asks_for_what_its_programs_need(served: str, beat: bool, missing: str) -> None:
    tree = {"embedded": False, **{block: {"default": {"driver": "memory"}} for block in served.split()}}
    with Runtime(tree, environ={}) as runtime, use_runtime(runtime):
        app = capa_celery.Celery("own", backend="cache+memory://", set_as_current=False)

        with pytest.raises(UnknownNameError, match=f"nothing serves {missing}"):
            app.capa.check_served(beat=beat)


def test_a_worker_needs_no_lock_and_beat_is_told_all_that_it_lacks() -> None:
    tree = {"embedded": False, "pubsub": {"default": {"driver": "memory"}}}
    with Runtime(tree, environ={}) as runtime, use_runtime(runtime):
        app = capa_celery.Celery("own", backend="cache+memory://", set_as_current=False)

        with pytest.raises(SettingsError, match=r"(?s)nothing serves state.*nothing serves lock"):
            app.capa.check_served(beat=True)
    with Runtime({**tree, "state": tree["pubsub"]}, environ={}) as runtime, use_runtime(runtime):
        app.capa.check_served(beat=False)


@pytest.mark.filterwarnings("ignore::celery.exceptions.SecurityWarning")
def test_a_scheduler_of_the_applications_own_needs_no_lock() -> None:
    tree = {
        "embedded": False,
        "pubsub": {"default": {"driver": "memory"}},
        "state": {"default": {"driver": "memory"}},
    }
    with Runtime(tree, environ={}) as runtime, use_runtime(runtime):
        app = capa_celery.Celery("own", set_as_current=False)
        app.Worker(
            app=app, pool="solo", beat=True, scheduler="django_celery_beat.schedulers:DatabaseScheduler"
        )

        with pytest.raises(UnknownNameError, match="nothing serves lock"):
            app.Worker(app=app, pool="solo", beat=True)


def test_sending_a_task_raises_too() -> None:
    tree = {"embedded": False, "state": {"default": {"driver": "memory"}}}
    with Runtime(tree, environ={}) as runtime, use_runtime(runtime):
        app = capa_celery.Celery("own", set_as_current=False)

        with pytest.raises(UnknownNameError, match="nothing serves pubsub"):
            app.send_task("a")
