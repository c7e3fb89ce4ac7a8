"""A name that a test replaces with a mock or a subclass does not break the others."""

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any
from unittest import mock

import pytest

import capa_apollo
from capa_apollo import Config, cloud_config, value
from capa_apollo.py3_apollo.apollo_client import ApolloClient as Py3
from capa_apollo.pyapollo.apollo_client import ApolloClient as Pyapollo
from capa_apollo.xhrg.apollo_client import ApolloClient as Xhrg
from capa_core import Runtime

CLIENTS = [f"capa_apollo.{one}.apollo_client" for one in ("pyapollo", "xhrg", "py3_apollo")]
NAMES = [
    *((capa_apollo._HOMES[name], name) for name in capa_apollo.__all__),
    *(("capa_apollo", name) for name in capa_apollo.__all__),
    *((client, "ApolloClient") for client in CLIENTS),
]


class _Orders:
    limit: int = value("${limit:1}")


def _pyapollo() -> str:
    client = Pyapollo("shop", config_server_url="http://old.invalid")
    client.start()
    try:
        return client.get_value("limit")
    finally:
        client.stop()


STEPS: dict[str, Callable[[], Any]] = {
    "value": lambda: _Orders().limit,
    "config": lambda: Config("application").get_property("limit"),
    "cloud_config": lambda: cloud_config("application", dict).get()["limit"],
    "pyapollo": _pyapollo,
    "xhrg": lambda: Xhrg("http://old.invalid", "shop").get_value("limit"),
    "py3_apollo": lambda: Py3("shop").get_value("limit"),
}


def _replacements(found: Any) -> Iterator[Any]:
    yield mock.Mock()
    if type(found) is type:
        yield type(found.__name__, (found,), {})


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_names_imported_before_still_work(
    module: str, name: str, runtime: Runtime, configuration: Any
) -> None:
    configuration.save({"limit": "7"}, group="application")
    found = getattr(import_module(module), name)

    for replacement in _replacements(found):
        with mock.patch.object(import_module(module), name, replacement):
            results = {label: str(step()) for label, step in STEPS.items()}

        assert results == dict.fromkeys(STEPS, "7")
