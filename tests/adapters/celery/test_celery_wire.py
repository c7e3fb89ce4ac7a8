"""The setting `wire` where it cannot be served: a typed error before anything is sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from capa_celery import Celery
from capa_core import Runtime, use_runtime
from capa_core.errors import SettingsError, UnsupportedError

CLUSTER = '[{block}.default]\ndriver = "redis"\ncluster = true\n'
BLOCKS = ("pubsub", "state")


@contextmanager
def application(folder: Path, tables: str, wire: str = "celery", **conf: Any) -> Iterator[Celery]:
    (folder / "capa.toml").write_text(f'[adapters.celery]\nwire = "{wire}"\n{tables}')
    with Runtime(file=folder / "capa.toml") as runtime, use_runtime(runtime):
        app = Celery(
            "wired",
            broker="redis://legacy.invalid/0",
            backend="redis://legacy.invalid/1",
            set_as_current=False,
        )
        app.conf.update(conf)

        @app.task(name="nothing", shared=False)
        def nothing() -> None: ...

        yield app


@pytest.mark.parametrize(
    ("tables", "place"),
    [
        ("", "SQLite in"),
        ("".join(CLUSTER.format(block=block) for block in BLOCKS), "Redis at redis://127.0.0.1"),
    ],
)
def test_other_engines_are_refused_by_name_at_the_first_call(tmp_path: Path, tables: str, place: str):
    with application(tmp_path, tables) as app, pytest.raises(UnsupportedError) as refused:
        app.tasks["nothing"].delay()

    assert "wire" in str(refused.value)
    assert place in str(refused.value)
    assert "capa explain celery/mixed-fleets" in str(refused.value)


def test_a_worker_is_refused_before_it_starts(tmp_path: Path):
    with application(tmp_path, "") as app, pytest.raises(UnsupportedError, match="mixed-fleets"):
        app.WorkController()


def test_results_alone_on_another_engine_are_refused(tmp_path: Path):
    tables = '[pubsub.default]\ndriver = "redis"\n[state.default]\ndriver = "sqlite"\n'
    with application(tmp_path, tables) as app, pytest.raises(UnsupportedError, match="SQLite"):
        _ = app.backend


def test_a_backend_of_its_own_stays(tmp_path: Path):
    with application(tmp_path, "", result_backend="cache+memory://") as app:
        assert type(app.backend).__name__ == "CacheBackend"


def test_an_unknown_wire_is_refused(tmp_path: Path):
    with application(tmp_path, "", wire="kombu") as app, pytest.raises(SettingsError, match="wire"):
        app.tasks["nothing"].delay()


def test_wrong_transport_options_are_refused(tmp_path: Path):
    tables = "".join(f'[{block}.default]\ndriver = "redis"\n' for block in BLOCKS)
    options = {"priority_steps": ["high", "low"]}
    with (
        application(tmp_path, tables, broker_transport_options=options) as app,
        pytest.raises(SettingsError, match="broker_transport_options"),
    ):
        _ = app.capa.queues
