"""Each setting, signal and backend method of the installed Celery has an effect, or the import map says otherwise."""

import inspect
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import celery
import celery.signals
import pytest
from celery.app.amqp import AMQP
from celery.app.defaults import NAMESPACES, flatten
from celery.backends.base import KeyValueStoreBackend
from celery.backends.redis import RedisBackend
from celery.bin.beat import beat as celery_beat
from celery.bin.worker import worker as celery_worker
from celery.utils.dispatch import Signal
from parallel import made_once

import capa_celery
from capa_celery._backend import CapaBackend
from capa_celery._sender import Sender
from capa_codemods.sdks.import_map_file import read_import_map
from capa_core import Runtime, use_runtime

HOME = Path(capa_celery.__file__).parent
MAP = read_import_map(str(HOME / "import_map.toml"))
LISTED = {line.name for line in MAP.names if line.support != "full"}
SETTINGS = sorted(name for name, _ in flatten(NAMESPACES))
SIGNALS = sorted(name for name, one in vars(celery.signals).items() if isinstance(one, Signal))
RUNNING = """
import sys
import capa_celery, celery.apps.beat, celery.bin.base
import capa_celery._worker._local, capa_celery._worker.prefork
from capa_core import Runtime, use_runtime

with use_runtime(Runtime.in_memory()):
    capa_celery.Celery("face", backend="cache+memory://").Worker(pool="solo")
files = [getattr(module, "__file__", None) for name, module in sys.modules.items() if name.startswith("celery")]
print("\\n".join(file for file in files if file))
"""


@pytest.fixture(scope="module")
def words(run_folder: Path) -> frozenset[str]:
    """The words, and those before `.send`, in Capa's code and the modules of Celery that its worker and beat load."""

    def ask(folder: Path) -> None:
        command = [sys.executable, "-W", "ignore", "-c", RUNNING]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        (folder / "files").write_text(done.stdout)

    loaded = (made_once(run_folder / "loaded-of-celery", ask) / "files").read_text().splitlines()
    # An application calls setup_security() itself.
    files = [*map(Path, loaded), *Path(celery.__file__).parent.glob("security/*.py"), *HOME.rglob("*.py")]
    texts = (file.read_text() for file in files if file.name not in ("defaults.py", "signals.py"))
    return frozenset(word for text in texts for word in re.findall(r"\w+(?:\.send\b)?", text))


@pytest.mark.skipif(
    celery.VERSION < (5, 7), reason="older versions read some settings by parts of their names"
)
@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_read_or_said_to_be_without_effect(words: frozenset[str], name: str) -> None:
    read = not words.isdisjoint({name, f"{name}.send"})

    assert read or f"celery.Celery.conf.{name}" in LISTED


@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_is_sent_or_said_to_be_never_sent(words: frozenset[str], name: str) -> None:
    # Also where the method is kept for later: `send_prerun = signals.task_prerun.send`.
    assert (f"{name}.send" in words) != (f"celery.signals.{name}" in LISTED)


@pytest.mark.skipif(celery.VERSION < (5, 7), reason="some of the settings are newer")
def test_settings_that_are_said_to_be_without_effect_are_settings() -> None:
    conf = {
        name.removeprefix("celery.Celery.conf.") for name in LISTED if name.startswith("celery.Celery.conf.")
    }

    assert conf <= {*SETTINGS, "update"}


def _methods(kind: type) -> list[str]:
    return [
        name for name in vars(kind) if not name.startswith("_") and inspect.isfunction(getattr(kind, name))
    ]


BACKEND = sorted(
    {*_methods(RedisBackend), *(_methods(KeyValueStoreBackend)), "add_to_chord", "wait_for_pending"}
)
OF_ITS_ENGINE = {"ensure", "on_connection_error", "on_task_call", "pipeline"}
"""Methods by which Celery's Redis backend speaks to its own client."""


@pytest.mark.parametrize("name", sorted(set(BACKEND) - OF_ITS_ENGINE))
def test_a_method_of_the_redis_backend_is_there_with_its_arguments(name: str) -> None:
    theirs, ours = getattr(RedisBackend, name), getattr(CapaBackend, name)
    missing = _names(theirs) - _names(ours)

    assert "raise NotImplementedError" not in inspect.getsource(ours)
    assert not missing or _takes_any(ours), missing


def test_publishing_takes_the_arguments_of_celerys() -> None:
    app: Any = celery.Celery("face", set_as_current=False)

    assert set() == _names(AMQP(app).send_task_message) - _names(Sender.__call__)


def _names(function: Any) -> set[str]:
    every = inspect.signature(function).parameters.values()
    return {one.name for one in every if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)} - {"self"}


def _takes_any(function: Any) -> bool:
    return any(one.kind is one.VAR_KEYWORD for one in inspect.signature(function).parameters.values())


SERVED = {
    *("--beat", "--concurrency", "--detach", "--discard", "--exclude-queues", "--executable", "--gid"),
    *("--hostname", "--include", "--logfile", "--loglevel", "--max-interval", "--max-memory-per-child"),
    *("--max-tasks-per-child", "--pidfile", "--prefetch-multiplier", "--purge", "--queues", "--scheduler"),
    *("--soft-time-limit", "--statedb", "--time-limit", "--uid", "--umask"),
    # There is nothing of these in a worker of Capa; `fair` is its only order.
    *("--optimization", "--without-gossip", "--without-heartbeat", "--without-mingle"),
}
OPTIONS = [
    (command.name, option.opts) for command in (celery_worker, celery_beat) for option in command.params
]


@pytest.mark.parametrize(("command", "options"), OPTIONS, ids=str)
def test_an_option_is_served_or_said_to_be_without_effect(command: str, options: list[str]) -> None:
    listed = {one for line in MAP.commands if line.name == f"celery {command}" for one in line.options}

    assert SERVED.isdisjoint(options) != listed.isdisjoint(options)


@pytest.mark.skipif(celery.VERSION < (5, 7), reason="a setting of Celery 5.7")
def test_a_failed_result_is_kept_for_as_long_as_its_setting_says() -> None:
    with Runtime.in_memory() as runtime, use_runtime(runtime):
        app = capa_celery.Celery("failing", backend="cache+memory://", set_as_current=False)
        app.conf.result_failure_expires = 1
        app.backend.mark_as_failure("failed", ValueError("no"))
        app.backend.store_result("other", None, "STARTED")
        before = app.AsyncResult("failed").state
        time.sleep(1.2)
        after = [app.AsyncResult(name).state for name in ("failed", "other")]

    assert ("FAILURE", ["PENDING", "STARTED"]) == (before, after)
