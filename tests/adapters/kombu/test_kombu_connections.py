"""Connections: the component behind an address, and what callers see when it is away or not named."""

import pickle
from pathlib import Path
from typing import Any

import kombu.transport.memory
import pytest
from kombu.exceptions import OperationalError

import capa_celery
import capa_kombu
from capa_core import Runtime, use_runtime
from capa_core.errors import SettingsError

DEFAULT = {"driver": "memory"}


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("capa://orders", "orders"),
        ("amqp://shop:secret@broker.internal/eu", "eu"),
        ("amqp://broker.internal:5672/us", "us"),
        ("amqp://elsewhere", "kombu"),
        (["amqp://broker.internal/eu", "amqp://spare.internal"], "eu"),
    ],
)
def test_an_address_leads_to_the_component_that_lists_it(address: Any, name: str) -> None:
    tables = {
        "default": DEFAULT,
        "eu": {**DEFAULT, "legacy": ["amqp://broker.internal/eu"]},
        "us": {**DEFAULT, "legacy": ["amqp://broker.internal/us"]},
    }
    runtime = Runtime({"pubsub": tables, "state": {"default": DEFAULT}})
    with runtime, use_runtime(runtime), capa_kombu.Connection(address) as connection:
        connections = [connection, connection.clone(), pickle.loads(pickle.dumps(connection))]
        for number, one in enumerate(connections):
            with one:
                one.Producer().publish(number, routing_key="q")

        assert 3 == runtime.pubsub(name).depth("q", "celery")


def test_the_parts_of_an_address_lead_there_too() -> None:
    tables = {"default": DEFAULT, "eu": {**DEFAULT, "legacy": ["amqp://broker.internal:5673/eu"]}}
    runtime = Runtime({"pubsub": tables, "state": {"default": DEFAULT}})
    parts = {"hostname": "broker.internal", "userid": "shop", "virtual_host": "eu", "port": 5673}
    with runtime, use_runtime(runtime), capa_kombu.Connection(**parts, transport="amqp") as connection:
        connection.Producer().publish("x", routing_key="q")

        assert 1 == runtime.pubsub("eu").depth("q", "celery")


@pytest.mark.parametrize("address", ["mongodb://h/db", "sqla+sqlite:///x.db", "SQS://", "capa://orders"])
def test_no_library_of_the_address_is_needed(memory: Runtime, address: str) -> None:
    with capa_kombu.Connection(address) as connection:
        connection.SimpleQueue("q").put("x")

        assert "x" == connection.SimpleQueue("q").get(timeout=5).payload


def test_code_that_was_not_rewritten_reaches_a_component_by_its_name(memory: Runtime) -> None:
    with kombu.Connection("capa://orders") as connection:
        connection.Producer().publish("x", routing_key="q")

    assert 1 == memory.pubsub("orders").depth("q", "celery")


def test_a_transport_of_the_applications_own_stays(memory: Runtime) -> None:
    own = kombu.transport.memory.Transport

    assert own is type(capa_kombu.Connection(transport=own).transport)


def test_connecting_asks_the_engine_and_tells_when_it_is_away() -> None:
    away = {"driver": "redis", "url": "redis://127.0.0.1:1/0", "timeout_s": 1}
    runtime = Runtime({"pubsub": {"default": away}, "state": {"default": away}})
    with runtime, use_runtime(runtime), capa_kombu.Connection("redis://h") as connection:
        told: list[Any] = []
        with pytest.raises(OperationalError):
            connection.ensure_connection(lambda error, rest_s: told.append(error), 1, 0, 0)

        assert told
        assert not connection.connected


def test_a_profile_without_components_is_told_at_the_first_use(tmp_path: Path) -> None:
    (tmp_path / "capa.toml").write_text("[profiles.prod]\n")
    runtime = Runtime(file=tmp_path / "capa.toml", profile="prod")
    with runtime, use_runtime(runtime), pytest.raises(SettingsError, match="nothing serves pubsub 'kombu'"):
        capa_kombu.Connection("redis://h").default_channel  # noqa: B018


def test_a_consumer_of_kombu_reads_what_a_celery_application_sends(memory: Runtime) -> None:
    app = capa_celery.Celery("shop", broker="capa://tasks", set_as_current=False)
    sent = app.send_task("bill", (1,), {"to": "x"}, queue="bills")
    with capa_kombu.Connection("capa://tasks") as connection:
        message = connection.SimpleQueue("bills").get(timeout=5)

        assert ("bill", sent.id) == (message.headers["task"], message.headers["id"])
        assert [[1], {"to": "x"}] == message.payload[:2]
