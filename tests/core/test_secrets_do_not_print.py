"""Passwords in settings: not shown in errors with their tracebacks, in a repr, or in a report."""

import traceback

import pytest

from capa_core import Runtime
from capa_core.errors import CapaError

PASSWORD = "hunter2"
REDIS = {"driver": "redis", "retries": 0, "url": f"redis://:{PASSWORD}@127.0.0.1:1/0"}


@pytest.fixture
def runtime_of(tmp_path):
    """A function that returns a runtime whose state component has the given settings."""
    return lambda table: Runtime(
        {"state": {"default": table}}, start=tmp_path, environ={"REDIS_PASSWORD": PASSWORD}
    )


def shown(call):
    """Return the full text that a terminal or a log shows for the error of *call*."""
    with pytest.raises(CapaError) as caught:
        call()
    return "".join(traceback.format_exception(caught.value)) + repr(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"deadline_s": PASSWORD},
        {"timeout_s": PASSWORD},
        {"legacy": {"x": PASSWORD}},
        {"url": f"rdis://:{PASSWORD}@h"},
        {"url": f"redis://:{PASSWORD}/x@h"},
        {"url": f"redis://x:{PASSWORD}"},
        {"url": f"redis://h/{PASSWORD}"},
        {"url": f"redis://h?db={PASSWORD}"},
        {"url": f"redis://h?{PASSWORD}=1"},
        {"url": [PASSWORD]},
        {"url": "redis://:${env:REDIS_PASSWORD}/x@h"},
        {"urls": PASSWORD},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_wrong_setting_is_not_repeated(wrong, runtime_of):
    assert PASSWORD not in shown(lambda: runtime_of({**REDIS, **wrong}).state())


@pytest.mark.parametrize("url", ["ftp://u:{}@h", "http://u:{}@h", "http://u:{}@h:port", "u:{}@h"])
def test_a_wrong_address_of_a_service_does_not_show_its_password(url, tmp_path):
    tree = {"invocation": {"cat": {"url": url.format(PASSWORD)}}}

    assert PASSWORD not in shown(lambda: Runtime(tree, start=tmp_path, environ={}).invocation("cat"))


def test_a_wrong_legacy_address_does_not_show_its_password(runtime_of):
    runtime = runtime_of({"driver": "memory", "legacy": [f"redis://:{PASSWORD}@h:port/0"]})

    assert PASSWORD not in shown(lambda: runtime.logical_name("state", "redis://h"))


def test_an_engine_that_is_down_does_not_show_the_password(runtime_of):
    assert PASSWORD not in shown(lambda: runtime_of(REDIS).state().get("k"))


@pytest.mark.server("redis")
def test_a_refused_password_is_not_shown(runtime_of, redis_url):
    url = redis_url.replace("redis://", f"redis://:{PASSWORD}@")

    assert PASSWORD not in shown(lambda: runtime_of({**REDIS, "url": url}).state().get("k"))


def test_settings_do_not_print_possible_secrets(runtime_of):
    runtime = runtime_of({**REDIS, "legacy": [f"redis://:{PASSWORD}@h"]})
    driver = runtime.state()._driver
    objects = [
        runtime,
        runtime.loaded,
        runtime.loaded.merged,
        runtime.loaded.tables("state"),
        runtime.state(),
    ]

    assert PASSWORD not in repr([*objects, driver, driver.settings])


def test_a_report_shows_legacy_addresses_without_credentials(runtime_of):
    runtime = runtime_of({"driver": "memory", "legacy": [f"redis://:{PASSWORD}@redis.internal:6379/0"]})
    (row,) = (row for row in runtime.report() if row.block == "state")

    assert ("redis://redis.internal:6379/0",) == row.legacy
    assert PASSWORD not in repr(row)


@pytest.mark.server("redis")
def test_an_answer_to_a_ping_does_not_show_the_password(runtime_of, redis_url):
    runtime = runtime_of(
        {"driver": "redis", "url": redis_url.replace("redis://", f"redis://default:{PASSWORD}@")}
    )
    answers = [row.answer(runtime) for row in runtime.report() if row.block == "state"]

    assert PASSWORD not in repr(answers)
