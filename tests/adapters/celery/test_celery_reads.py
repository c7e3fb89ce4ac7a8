"""Each setting of the installed Celery is used in a run and each signal received, or the import map says otherwise."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import celery
import celery.signals
import pytest
from celery.utils.dispatch import Signal
from celery_face import messages
from celery_reads import SETTINGS
from kombu import Exchange, Queue
from kombu.asynchronous.timer import Timer
from parallel import made_once

import capa_celery
from capa_codemods.sdks.import_map_file import read_import_map
from capa_core import Runtime, use_runtime

MAP = read_import_map(str(Path(capa_celery.__file__).with_name("import_map.toml")))
LISTED = {line.name for line in MAP.names if line.support != "full"}
NEVER_SENT = {line.name for line in MAP.names if line.support == "none"}
SIGNALS = sorted(name for name, one in vars(celery.signals).items() if isinstance(one, Signal))
RUNS = Path(__file__).parents[2] / "celery_runs.py"
LONGEST_S = 150
NEWEST = celery.VERSION >= (5, 7)

pytestmark = pytest.mark.timeout(60, func_only=True)  # the set-up makes runs, which have limits of their own


@pytest.fixture(scope="module")
def record(run_folder: Path) -> frozenset[str]:
    """The lines of the record of all runs: `setting NAME`, `signal NAME`."""
    folder = made_once(run_folder / "runs-of-celery", _run_all)
    return frozenset((folder / "record").read_text().splitlines())


def _run_all(folder: Path) -> None:
    # The signal SIGQUIT ends a worker that still has time for its tasks: worker_soft_shutdown_timeout.
    for pool, end in (("prefork", signal.SIGTERM), ("threads", signal.SIGQUIT)):
        with _role(folder, pool, "worker") as worker:
            with _role(folder, pool, "produce") as producer:
                assert 0 == producer.wait(LONGEST_S)
            worker.send_signal(end)
    with _role(folder, "beat", "beat") as beat:
        end_at = time.monotonic() + LONGEST_S
        while "signal beat_init" not in (folder / "record").read_text():
            assert beat.poll() is None
            assert time.monotonic() < end_at
            time.sleep(0.05)
        beat.send_signal(signal.SIGTERM)
    with _role(folder, "alone", "alone") as alone:
        assert 0 == alone.wait(LONGEST_S)


@contextmanager
def _role(folder: Path, place: str, role: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start *role* with the data of *place*; at the end wait for it, and kill it if it does not end."""
    (folder / place).mkdir(exist_ok=True)
    environ = {**os.environ, "RECORD": str(folder / "record"), "POOL": place, "PYTHONPATH": str(RUNS.parent)}
    words = [sys.executable, "-W", "ignore", str(RUNS), role]
    with (folder / f"{place}-{role}").open("wb") as output:
        process = subprocess.Popen(words, cwd=folder / place, env=environ, stdout=output, stderr=output)
        try:
            yield process
            process.wait(LONGEST_S)
        finally:
            process.kill()
            process.wait()


SHOWN_BELOW = {
    *(
        "security_cert_store",
        "security_certificate",
        "security_digest",
        "security_key",
        "security_key_password",
    ),
    "task_acks_on_failure_or_timeout",
}


@pytest.mark.skipif(not NEWEST, reason="older versions read some settings by parts of their names")
@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_a_setting_is_used_or_said_to_be_without_effect(record: frozenset[str], name: str) -> None:
    is_used = f"setting {name}" in record or name in SHOWN_BELOW

    assert is_used or f"celery.Celery.conf.{name}" in LISTED


def test_a_setting_that_is_kept_and_not_read_is_none_that_is_used(record: frozenset[str]) -> None:
    kept = {"worker_pool_putlocks", "worker_lost_wait", "worker_pool_restarts"}

    assert {f"celery.Celery.conf.{name}" for name in kept} <= LISTED
    assert set() == {f"setting {name}" for name in kept} & record


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_is_received_or_said_to_be_never_sent(record: frozenset[str], name: str) -> None:
    assert (f"signal {name}" in record) != (f"celery.signals.{name}" in NEVER_SENT)


@pytest.mark.skipif(not NEWEST, reason="some of the settings are newer")
def test_settings_that_are_said_to_be_without_effect_are_settings() -> None:
    conf = {
        name.removeprefix("celery.Celery.conf.") for name in LISTED if name.startswith("celery.Celery.conf.")
    }

    assert conf <= {*SETTINGS, "update"}


@pytest.fixture(params=[celery.Celery, capa_celery.Celery], ids=["celery", "capa"])
def app(request: pytest.FixtureRequest) -> Iterator[Any]:
    """An application of either side, in memory."""
    with Runtime.in_memory() as runtime, use_runtime(runtime):
        yield request.param("face", broker="memory://", backend="cache+memory://", set_as_current=False)


class OwnTimer(Timer):
    """A timer of an application."""


def test_the_timer_of_a_worker_is_of_the_class_and_precision_in_the_settings(app: Any) -> None:
    app.conf.update(worker_timer=f"{__name__}:OwnTimer", worker_timer_precision=0.25)
    worker = app.WorkController(pool="solo")

    assert (OwnTimer, 0.25) == (type(worker.timer), worker.timer.max_interval)


@pytest.mark.skipif(not NEWEST, reason="newer settings of the two cases")
@pytest.mark.parametrize("value", [True, False])
def test_acks_on_failure_or_timeout_is_the_default_of_both(app: Any, value: bool) -> None:
    app.conf.task_acks_on_failure_or_timeout = value

    @app.task(name="add", shared=False)
    def add() -> None:
        return None

    assert (value, value) == (add.acks_on_failure, add.acks_on_timeout)


def test_the_security_settings_are_handed_to_the_serializer(
    app: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    library = ModuleType("celery.security.serialization")  # it needs a library that tests do without
    library.register_auth = lambda *arguments: given.extend(arguments)  # type: ignore[attr-defined]
    for module in (library, ModuleType("cryptography")):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.delitem(sys.modules, "celery.security", raising=False)
    monkeypatch.setattr("kombu.serialization.disable_insecure_serializers", lambda _: None)
    monkeypatch.setattr("kombu.serialization.registry._set_default_serializer", lambda _: None)
    keys = ("key", "key_password", "certificate", "cert_store", "digest")
    app.conf.update({f"security_{key}": __file__ for key in keys})
    app.conf.update(task_serializer="auth", accept_content=["auth"], security_digest="sha512")

    app.setup_security(digest=None)  # it has a default of its own, before the setting

    text = Path(__file__).read_text()
    assert [text, __file__, text, __file__, "sha512", "json"] == given


@pytest.mark.parametrize("declared", [True, False], ids=["by name", "as an object"])
def test_the_default_routing_key_is_that_of_a_queue_without_one(app: Any, declared: bool) -> None:
    app.conf.update(task_default_routing_key="k.x", task_queues=[Queue("q", Exchange("t", type="topic"))])
    queue = "q" if declared else Queue("q", Exchange("t", type="topic"))
    _, sent = messages(lambda: app.send_task("add", queue=queue))

    assert ["k.x"] == [published["routing_key"] for _, published in sent]
