"""What the import map says of remote control is what the adapter does."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from celery.app.control import Control, Inspect
from celery.result import AsyncResult, GroupResult, ResultSet

import capa_celery
from capa_codemods.sdks.import_map_file import read_import_map
from capa_codemods.sdks.names import Names
from capa_core.errors import UnsupportedError
from capa_migration.rewrite.scan.judge import Judge

JUDGE = Judge(Names([read_import_map(str(Path(capa_celery.__file__).with_name("import_map.toml")))]))


def _methods(owner: type) -> list[str]:
    return [
        name for name in dir(owner) if not name.startswith("_") and inspect.isfunction(getattr(owner, name))
    ]


@pytest.mark.parametrize("name", _methods(Control))
def test_a_command_is_refused_if_the_map_says_so(memory_app: Any, name: str) -> None:
    told = JUDGE.of(f"celery.app.control.Control.{name}", (), ()).support

    assert (told == "none") == _is_refused(getattr(memory_app.control, name))


@pytest.mark.parametrize("name", _methods(Inspect))
def test_a_question_is_refused_if_the_map_says_so(memory_app: Any, name: str) -> None:
    told = JUDGE.of(f"celery.app.control.Inspect.{name}", (), ()).support
    refusals = [
        _is_refused(getattr(one, name)) for one in (memory_app.control.inspect(), Inspect(app=memory_app))
    ]

    assert [told == "none"] * 2 == refusals


@pytest.mark.parametrize("kind", [AsyncResult, ResultSet, GroupResult])
@pytest.mark.parametrize("given", [{}, {"terminate": True}, {"wait": True}])
def test_revoking_a_result_is_refused_if_the_map_says_so(
    memory_app: Any, kind: type, given: dict[str, Any]
) -> None:
    result = AsyncResult("some-id", app=memory_app)
    told = JUDGE.of(f"celery.result.{kind.__name__}.revoke", given, ()).support
    revoked = {AsyncResult: result, ResultSet: ResultSet([result]), GroupResult: GroupResult("g", [result])}

    assert (told == "none") == _is_refused(revoked[kind].revoke, **given)  # type: ignore[attr-defined]


@pytest.mark.parametrize("argument", ["terminate", "destination", "signal", "reply"])
def test_revoking_by_remote_control_is_refused_if_the_map_says_so(memory_app: Any, argument: str) -> None:
    told = JUDGE.of("celery.app.control.Control.revoke", [argument], ()).support

    assert (told == "none") == _is_refused(memory_app.control.revoke, **{argument: ["x"]})


def test_revoking_by_headers_is_refused_as_the_map_says(memory_app: Any) -> None:
    told = JUDGE.of("celery.result.AsyncResult.revoke_by_stamped_headers", (), ()).support
    result = AsyncResult("some-id", app=memory_app)

    assert ("none", True) == (told, _is_refused(result.revoke_by_stamped_headers))


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
    told = [
        JUDGE.of(f"celery.Celery.conf.{key}", (), ()).support,
        JUDGE.of("celery.Celery.conf.update", [key], ()).support,
    ]
    with serving(memory_app):
        results = [memory_app.tasks["add"].delay(1, 1) for _ in range(3)]

        assert [2, 2, 2] == [result.get(timeout=10) for result in results]
    assert [expected] * 2 == told


def _is_refused(method: Any, **given: Any) -> bool:
    """Say whether *method* refuses to do anything, whatever it is asked for."""
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
