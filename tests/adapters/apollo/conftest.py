"""A runtime in memory for the adapter; the originals have the Apollo test server."""

import time
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
def wait_until():
    def wait(holds, patience_s=15):
        end = time.monotonic() + patience_s
        while not holds():
            assert time.monotonic() < end, "it did not come to hold in time"
            time.sleep(0.01)

    return wait


@pytest.fixture
def apollo(start_apollo):
    """Start an Apollo test server that holds a poll for less time than the shortest timeout of an original."""
    server = start_apollo()
    server.hold_s = 0.5
    return server
