"""Data of Celery that no address in the code names is kept where the tasks or the results are."""

from __future__ import annotations

import pytest

import capa_celery
from capa_celery import _beat
from capa_codemods.api import Names, import_map_paths, read_import_map
from capa_codemods.findings import Outcome
from capa_codemods.pipeline.capa_toml import plan_capa_toml
from capa_codemods.pipeline.rewrite import Rewrite
from capa_codemods.project import Project
from capa_codemods.rules.addresses import Addresses
from capa_codemods.write.splice import splice
from capa_core import Runtime, use_runtime
from capa_core.runtime import Need

APP = "from celery import Celery\napp = Celery('shop', broker='{}', backend='{}')\n"
REDIS = "redis://:geheim@h/1", "redis://h/2"


@pytest.fixture
def written(tmp_path):
    """The text of capa.toml after the rule has read files, and the messages about it."""

    def run(*texts: str, before: str = "") -> tuple[str, list[str]]:
        place = tmp_path / "capa.toml"
        place.write_text(before)
        names = Names(map(read_import_map, import_map_paths()))
        rewrite = Rewrite(Project(str(tmp_path), names, []), [Addresses()])
        found = [rewrite.examine_data(f"{at}.py", text.encode()) for at, text in enumerate(texts)]
        outcome = plan_capa_toml(str(tmp_path), found).outcome
        assert isinstance(outcome, Outcome)
        place.write_bytes(splice(place.read_bytes(), outcome.edits))
        messages = [finding.message for one in (*found, outcome) for finding in one.findings]
        return place.read_text(), [message for message in messages if "password" not in message]

    return run


def test_lock_of_beat_gets_a_table_on_the_same_server(written):
    text, messages = written(APP.format(*REDIS))

    assert [] == messages
    assert text.endswith(
        '[lock.default]\n\n[lock.celery]\ndriver = "redis"\nurl = "redis://:${secret:h-1-password}@h/1"\n'
    )


def test_beat_starts_and_doctor_finds_nothing_scattered(written, tmp_path):
    written(APP.format("redis://h/1", "redis://h/2"))
    (celery,) = [one for one in map(read_import_map, import_map_paths()) if one.name == "celery"]
    needs = [Need(line.block, line.name, line.keeps, line.shared) for line in celery.blocks]

    with Runtime(start=tmp_path, environ={}) as runtime, use_runtime(runtime):
        assert [] == runtime.scattered(needs)
        app = capa_celery.Celery("shop", broker="capa://h-1", backend="capa://h-2", set_as_current=False)
        scheduler = _beat.Scheduler(app, lazy=True)

        assert ". lock -> Redis at redis://h/1" in scheduler.info


@pytest.mark.parametrize(
    "table",
    [
        "[lock.celery]\ndriver = 'sqlite'",
        "[lock.default]\ndriver = 'memory'",
        "[profiles.prod.lock.default]\ndriver = 'redis'",
    ],
)
def test_engine_that_capa_toml_names_is_kept(written, table):
    text, messages = written(APP.format(*REDIS), before=f"{table}\n")

    assert [] == messages
    assert text.startswith(f"{table}\n\n[pubsub.default]\n")
    assert 1 == text.count("lock")


def test_applications_on_two_servers_share_the_lock_of_the_first(written):
    other = APP.format("redis://other/1", "redis://other/2")
    text, messages = written(APP.format(*REDIS), other)

    assert [] == messages
    assert 1 == text.count("[lock.celery]")
    assert "[pubsub.other-1]" in text


def test_lock_goes_to_the_results_where_the_broker_keeps_none(written):
    text, messages = written(APP.format("amqp://rabbit//", "redis://h/2"))

    assert [] == messages
    assert text.endswith('[lock.celery]\ndriver = "redis"\nurl = "redis://h/2"\n')


def test_results_of_a_file_without_a_backend_are_kept_where_the_tasks_are(written):
    text, messages = written("from celery import Celery\nCelery('a', broker='redis://h/1')\n")

    assert [] == messages
    for block in ("state", "lock"):
        assert f'[{block}.default]\n\n[{block}.celery]\ndriver = "redis"\nurl = "redis://h/1"\n' in text


@pytest.mark.parametrize("more", ["app.conf.result_backend = B", "app.config_from_object('proj.settings')"])
def test_results_that_may_have_an_address_elsewhere_get_no_table(written, more):
    text, messages = written(f"from celery import Celery\napp = Celery('a', broker='redis://h/1')\n{more}\n")

    assert [] == messages
    assert "state" not in text


def test_server_that_keeps_no_lock_is_a_warning(written):
    text, messages = written("from celery import Celery\nCelery('a', broker='amqp://rabbit//', backend=B)\n")

    assert "lock" not in text
    assert ["rabbitmq cannot keep the lock of beat, and capa.toml names no engine for it"] == messages
