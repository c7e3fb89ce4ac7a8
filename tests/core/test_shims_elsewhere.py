"""The warning for a legacy address that something else serves than it says."""

import logging

import pytest

from capa_core import Runtime, use_runtime
from capa_core.shims.elsewhere import tell_if_elsewhere

REDIS = {"driver": "redis", "url": "redis://:pw@redis.prod:6379/1"}


@pytest.fixture
def told(caplog, tmp_path, monkeypatch):
    """A function that returns the levels and messages for an address of state, with the given table as `default`."""
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO, "capa.state")

    def tell(address, table=None, *, times=1):
        settings = {"state": {"default": table}} if table is not None else None
        with Runtime(settings, start=tmp_path, environ={}) as runtime, use_runtime(runtime):
            for _ in range(times):
                tell_if_elsewhere("state", runtime.state(), address, go="results go")
        return [(record.levelname, record.getMessage()) for record in caplog.records]

    return tell


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("redis://:hunter2@redis.internal:6379/0", "redis://redis.internal:6379/0"),
        ("redis://redis.internal/0?password=hunter2", "redis://redis.internal/0"),
        ("redis://hunter2@a/0;redis://b/0", "redis://a/0"),
        (["amqp://u:hunter2@a//", "amqp://b//"], "amqp://a//"),
        ("redis://:hunter2@h:port/0", "redis://h:port/0"),
        ("db+sqlite:///results.db", "db+sqlite:///results.db"),
    ],
)
def test_an_address_that_the_embedded_engine_serves_is_a_warning_without_password(told, address, shown):
    message = (
        f"results go to SQLite in .capa/, not to {shown}. Name the component that is to serve this address in"
        f' capa.toml, and list the address there: legacy = ["{shown}"]'
    )
    assert [("WARNING", message)] == told(address)


def test_another_server_is_a_warning_without_its_password(told):
    ((level, message),) = told("redis://redis.internal", REDIS)

    assert "WARNING" == level
    assert message.startswith(
        "results go to Redis at redis://redis.prod:6379/1, not to redis://redis.internal."
    )


@pytest.mark.parametrize(
    ("table", "place"),
    [({"driver": "memory"}, "Memory of this process"), ({"folder": "/var/lib/a"}, "SQLite in /var/lib/a/")],
)
def test_a_place_is_told_for_each_kind_of_engine(told, table, place):
    ((_, message),) = told("redis://h", table)

    assert message.startswith(f"results go to {place}, not to redis://h.")


def test_each_address_is_told_once(told):
    assert 1 == len(told("redis://h", times=3))


@pytest.mark.parametrize(
    "address",
    ["redis://redis.prod/1", "redis://u:other@REDIS.prod:6379/1", "capa://default", "", None, "django-db"],
)
def test_an_address_that_says_what_serves_it_is_not_told(told, address):
    assert [] == told(address, REDIS)


def test_one_of_several_addresses_of_a_component_is_not_told(caplog):
    table = {"driver": "apollo", "app_id": "shop", "url": ["http://a:8080", "http://b:8080"]}
    with Runtime({"configuration": {"default": table}}, environ={}) as runtime, use_runtime(runtime):
        for url in ("http://b:8080", "http://c:8080"):
            tell_if_elsewhere("configuration", runtime.configuration(), url, go="reads go")

    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("reads go to Apollo at http://a:8080, http://b:8080, not to http://c:8080.")


def test_an_address_that_capa_toml_lists_is_for_information(told):
    table = {**REDIS, "legacy": ["redis://redis.internal:6379"]}

    ((level, message),) = told("redis://:pw@redis.internal/0", table)

    assert "INFO" == level
    assert (
        "results go to Redis at redis://redis.prod:6379/1,"
        " which serves redis://redis.internal/0 by its `legacy` line"
    ) == message


def test_each_runtime_of_a_process_tells(told):
    told("redis://h")

    assert 2 == len(told("redis://h"))
