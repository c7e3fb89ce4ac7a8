"""The import map agrees with the adapter on commands and settings."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from celery.app.control import Control

import capa_celery
from capa_codemods.sdks.import_map_file import read_import_map
from capa_codemods.sdks.names import Names
from capa_migration.rewrite.scan.judge import Judge

MAP = read_import_map(str(Path(capa_celery.__file__).with_name("import_map.toml")))
JUDGE = Judge(Names([MAP]))


def _methods(owner: type) -> list[str]:
    return [
        name for name in dir(owner) if not name.startswith("_") and inspect.isfunction(getattr(owner, name))
    ]


def test_commands_without_effect_are_those_of_the_map(memory_app: Any, serving: Any) -> None:
    unserved = {
        name
        for name in _methods(Control)
        if JUDGE.of(f"celery.app.control.Control.{name}", (), ()).support == "none"
    }
    with serving(memory_app):
        answers = {name: memory_app.control.broadcast(name, reply=True, limit=1) for name in unserved}

    assert {"pool_restart", "election"} == unserved
    assert all("error" in next(iter(answer.values())) for (answer,) in answers.values())


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("task_default_rate_limit", "1000/s", "full"),
        ("task_send_sent_event", True, "full"),
        ("worker_send_task_events", True, "full"),
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
