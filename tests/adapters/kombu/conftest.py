"""Connections for the tests of capa_kombu: on memory, and on each engine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery_engines import REDIS, SQLITE, tables

import capa_kombu
from capa_core import Runtime, use_runtime

FAST = {"polling_interval": 0.01}


@pytest.fixture
def memory() -> Iterator[Runtime]:
    """Serve connections by memory drivers."""
    with Runtime.in_memory() as runtime, use_runtime(runtime):
        yield runtime


@pytest.fixture
def connection(memory: Runtime) -> Iterator[Any]:
    """Give a connection on memory drivers."""
    with capa_kombu.Connection("amqp://broker.invalid//", transport_options=FAST) as connection:
        yield connection


@pytest.fixture(params=[SQLITE, REDIS])
def on_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Runtime]:
    """Serve connections by an engine."""
    (tmp_path / "capa.toml").write_text(tables(request.param, request))
    with Runtime(file=tmp_path / "capa.toml") as runtime, use_runtime(runtime):
        yield runtime
