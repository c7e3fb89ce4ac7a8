"""Each backend method and command option of the installed Celery has an effect, or the import map says otherwise."""

import inspect
import time
from pathlib import Path
from typing import Any

import celery
import pytest
from celery.app.amqp import AMQP
from celery.backends.base import KeyValueStoreBackend
from celery.backends.redis import RedisBackend
from celery.bin.beat import beat as celery_beat
from celery.bin.worker import worker as celery_worker

import capa_celery
from capa_celery._backend import CapaBackend
from capa_celery._sender import Sender
from capa_codemods.sdks.import_map_file import read_import_map
from capa_core import Runtime, use_runtime

HOME = Path(capa_celery.__file__).parent
MAP = read_import_map(str(HOME / "import_map.toml"))


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
    *(
        "--autoscale",
        "--beat",
        "--concurrency",
        "--detach",
        "--discard",
        "--exclude-queues",
        "--executable",
        "--gid",
    ),
    *("--heartbeat-interval", "--task-events"),
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
