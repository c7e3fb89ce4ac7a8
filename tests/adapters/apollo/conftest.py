"""A runtime in memory for the adapter; the originals have the Apollo test server."""

from collections.abc import Iterator

import pytest

from capa_apollo import disable_apollo_config
from capa_core import Runtime, use_runtime


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    with Runtime.in_memory() as runtime, use_runtime(runtime):
        yield runtime
        disable_apollo_config()


@pytest.fixture
def configuration(runtime):
    return runtime.configuration()


@pytest.fixture
def apollo(start_apollo):
    """Start an Apollo test server that holds a poll for less time than the shortest timeout of an original."""
    server = start_apollo()
    server.hold_s = 0.5
    return server
