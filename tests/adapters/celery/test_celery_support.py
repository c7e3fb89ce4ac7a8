"""The import map agrees with the adapter on remote control and events."""

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from celery.app.control import Control, Inspect
from celery.result import AsyncResult, GroupResult, ResultSet

import capa_celery
from capa_codemods.sdks.import_map_file import read_import_map
from capa_codemods.sdks.names import Names
from capa_core.errors import UnsupportedError
from capa_migration.rewrite.scan.judge import Judge

MAP = read_import_map(str(Path(capa_celery.__file__).with_name("import_map.toml")))
JUDGE = Judge(Names([MAP]))


def _methods(owner: type) -> list[str]:
    return [
        name for name in dir(owner) if not name.startswith("_") and inspect.isfunction(getattr(owner, name))
    ]


@pytest.mark.parametrize("name", _methods(Control))
def test_a_command_is_refused_if_the_map_says_so(memory_app: Any, name: str) -> None:
    support = JUDGE.of(f"celery.app.control.Control.{name}", (), ()).support

    assert (support == "none") == _is_refused(getattr(memory_app.control, name))


@pytest.mark.parametrize("name", _methods(Inspect))
def test_a_question_is_refused_if_the_map_says_so(memory_app: Any, name: str) -> None:
    support = JUDGE.of(f"celery.app.control.Inspect.{name}", (), ()).support
    refusals = [
        _is_refused(getattr(one, name)) for one in (memory_app.control.inspect(), Inspect(app=memory_app))
    ]

    assert [support == "none"] * 2 == refusals


@pytest.mark.parametrize("kind", [AsyncResult, ResultSet, GroupResult])
@pytest.mark.parametrize("given", [{}, {"terminate": True}, {"wait": True}])
def test_revoking_a_result_is_refused_if_the_map_says_so(
    memory_app: Any, kind: type, given: dict[str, Any]
) -> None:
    result = AsyncResult("some-id", app=memory_app)
    support = JUDGE.of(f"celery.result.{kind.__name__}.revoke", given, ()).support
    revoked = {AsyncResult: result, ResultSet: ResultSet([result]), GroupResult: GroupResult("g", [result])}

    assert (support == "none") == _is_refused(revoked[kind].revoke, **given)  # type: ignore[attr-defined]


@pytest.mark.parametrize("argument", ["terminate", "destination", "signal", "reply"])
def test_revoking_by_remote_control_is_refused_if_the_map_says_so(memory_app: Any, argument: str) -> None:
    support = JUDGE.of("celery.app.control.Control.revoke", [argument], ()).support

    assert (support == "none") == _is_refused(memory_app.control.revoke, **{argument: ["x"]})


def test_revoking_by_headers_is_refused_as_the_map_says(memory_app: Any) -> None:
    support = JUDGE.of("celery.result.AsyncResult.revoke_by_stamped_headers", (), ()).support
    result = AsyncResult("some-id", app=memory_app)

    assert ("none", True) == (support, _is_refused(result.revoke_by_stamped_headers))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("task_default_rate_limit", "1/h", "none"),
        ("task_send_sent_event", True, "none"),
        ("worker_send_task_events", True, "none"),
        ("broker_url", "amqp://nowhere.invalid//", "partial"),
        ("result_backend", "redis://nowhere.invalid", "partial"),
    ],
)
def test_a_setting_is_without_effect_as_the_map_says(
    memory_app: Any, serving: Any, key: str, value: Any, expected: str
) -> None:
    memory_app.conf[key] = value
    support = [
        JUDGE.of(f"celery.Celery.conf.{key}", (), ()).support,
        JUDGE.of("celery.Celery.conf.update", [key], ()).support,
    ]
    with serving(memory_app):
        results = [memory_app.tasks["add"].delay(1, 1) for _ in range(3)]

        assert [2, 2, 2] == [result.get(timeout=10) for result in results]
    assert [expected] * 2 == support


def _is_refused(method: Any, **given: Any) -> bool:
    """Return whether *method* refuses with all arguments."""
    needed = [
        one
        for one in inspect.signature(method).parameters.values()
        if one.default is one.empty and one.kind < 2
    ]
    try:
        method(*("1" for _ in needed), **given)
    except UnsupportedError:
        return True
    return False


REFUSED = re.compile(
    r"\.broadcast\(|\.control\.(?!purge|revoke)\w|\.events\b|\bevent_(exchange|dispatcher)\b|\bPanel\b|\bEvent(Receiver|Dispatcher)\b"
)
"""Uses, in Celery's own code, of events and remote control."""
SERVED_WITHOUT = {
    "celery.app.amqp.AMQP.Producer": "sends to queues",
    "celery.beat.BeatPidbox": "of Celery 5.7, and made by beat alone, which has none here",
    "celery.backends.rpc.RPCBackend.Producer": "sends to queues",
    "celery.app.task.BaseTask.send_event": "another name of `Task.send_event`",
    "celery.worker.strategy.default": "runs the task without its events",
}


def _uses() -> Iterator[str]:
    for module in filter(None, map(_module, MAP.modules)):
        for name, one in vars(module).items():
            if getattr(one, "__module__", "") != module.__name__ or name.startswith("_"):
                continue
            parts = vars(one).items() if inspect.isclass(one) else [("", one)]
            for part, function in parts:
                is_shown = not part.startswith("_") or part == "__init__"
                if is_shown and REFUSED.search(_source(function)):
                    yield f"{module.__name__}.{name}.{part}".rstrip(".").removesuffix(".__init__")


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:  # of a later version, or for a library that is not installed
        return None


def _source(found: Any) -> str:
    for wrapped in ("__func__", "fget", "func"):
        found = getattr(found, wrapped, None) or found
    has_source = inspect.isfunction(found) and Path(found.__code__.co_filename).is_file()
    return inspect.getsource(found) if has_source else ""


@pytest.mark.filterwarnings("ignore")
def test_what_needs_events_or_remote_control_is_not_called_served_in_full() -> None:
    found = set(_uses())

    assert {"celery.events.receiver.EventReceiver.wakeup_workers", "celery.app.task.Task.send_event"} <= found
    assert (
        set() == {name for name in found if JUDGE.of(name, (), ()).support == "full"} - SERVED_WITHOUT.keys()
    )


@pytest.mark.parametrize(
    "name", ["EventReceiver", "EventDispatcher", "state.State", "receiver.EventReceiver"]
)
def test_events_are_judged_by_each_name(name: str) -> None:
    judged = JUDGE.of(f"celery.events.{name}", (), ())

    assert ("none", True) == (judged.support, "capa queue" in judged.instead)
