"""Fixtures of every test: real servers where installed, no settings from outside, nothing left behind."""

import gc
import importlib
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parent.parent
# One module for each server: a new file there is all that a new server needs.
_CURRENT = "capa_core.runtime._current"
SERVERS = sorted(path.stem for path in Path(__file__).with_name("servers").glob("[!_]*.py"))

pytest_plugins = [
    "in_memory",
    "loopback",
    "parallel",
    "built",
    "reporting",
    *(f"servers.{name}" for name in SERVERS),
]

# Tests run beside others: how long an example takes says how busy the machine is. Each test has its time limit.
settings.register_profile("capa", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("capa")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer a part of the tests by the servers that they need, so that a desk need not have all."""
    parser.addoption(
        "--servers",
        choices=["usual", "further"],
        help="run only the tests that need no server of an engine (usual), or only those that need one (further)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Give the servers to the report, and let programs that tests start receive an interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell ignores it for background jobs
        signal.signal(signal.SIGINT, signal.default_int_handler)
    programs = (importlib.import_module(f"servers.{name}").PROGRAM for name in SERVERS)
    config.stash[importlib.import_module("reporting").PROGRAMS] = list(dict.fromkeys(programs))


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: pytest.Collector) -> list[pytest.Item] | None:
    """Make no items of a module or class that is of the other part as a whole: each worker would make thousands."""
    return [] if collector.config.option.servers == "usual" and _needs_further(collector) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of the other part, if `--servers` names one."""
    wanted = config.option.servers
    out = [item for item in items if wanted and wanted != ("further" if _needs_further(item) else "usual")]
    if out:
        config.hook.pytest_deselected(items=out)
        dropped = set(out)
        items[:] = [item for item in items if item not in dropped]


def _needs_further(node: pytest.Item | pytest.Collector) -> bool:
    marks = node.iter_markers("server")
    return any(not importlib.import_module(f"servers.{mark.args[0]}").PROGRAM.usual for mark in marks)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail tests marked `server(name)` where that server is not installed."""
    for mark in item.iter_markers("server"):
        importlib.import_module(f"servers.{mark.args[0]}").PROGRAM.require()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Fail a test that leaves calls traced or measured: the messages of later ones would carry a trace."""
    yield
    if telemetry := sys.modules.get("capa_core.call.telemetry"):
        assert not telemetry.observing(), "telemetry is still on: close the runtime that reports"


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Keep what collection makes out of the collector's way: it lives to the end, and is walked again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the `CAPA_…` variables of the user who runs the tests: they would choose engines."""
    for name in [name for name in os.environ if name.startswith("CAPA_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="module")
def _collect_after_each_module() -> Iterator[None]:
    """Report resources that were left open here: later, the collector would blame an unrelated test."""
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def _default_log_level() -> None:
    """Reset the log level, which a program under test, such as Celery's, sets for the whole process."""
    logging.getLogger().setLevel(logging.WARNING)


@pytest.fixture(autouse=True)
def _structlog_as_installed() -> Iterator[None]:
    """Reset structlog, which `capture_logs` leaves configured: later logs would pass `logging` and `caplog` by."""
    yield
    if "structlog" in sys.modules:
        import structlog  # waits for a thread that is importing it

        structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _results_can_be_waited_for() -> Iterator[None]:
    """Reset what a Celery worker in this process leaves set: `result.get()` would raise in every later test."""
    yield
    if state := sys.modules.get("celery._state"):
        state._set_task_join_will_block(False)


@pytest.fixture(autouse=True)
def _default_runtime_of_its_own() -> Iterator[None]:
    """Close the default runtime that a test has made: its folder is where that test ran, and not the next one."""
    before = _default_runtime()
    yield
    made = _default_runtime()
    if made is not None and made is not before:
        sys.modules[_CURRENT]._current = before  # type: ignore[attr-defined]
        made.close(drain_s=1)


@pytest.fixture(autouse=True)
def _nothing_embedded_in_the_tree() -> Iterator[None]:
    """Fail a test that lets the embedded default write into the repository instead of a folder of its own."""
    before = _embedded_files()
    yield
    new = sorted(_embedded_files() - before)
    assert not new, (
        f"written into the repository: {new}. Use tmp_path: monkeypatch.chdir, or a runtime of its own. "
        "In a parallel run it may have been a test of another worker: each that ran meanwhile fails"
    )


def _embedded_files() -> set[str]:
    """Return what is in Capa's own folders."""
    found = (path for name in (".capa", ".capa-migrate") for path in (ROOT / name).rglob("*"))
    return {str(path.relative_to(ROOT)) for path in found}


def _default_runtime() -> Any:
    return getattr(sys.modules.get(_CURRENT), "_current", None)
