"""What every test gets: real servers where installed, no settings from outside, a report at the end."""

import gc
import importlib
import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# One module for each server: a new file there is all that a new server needs.
SERVERS = sorted(path.stem for path in Path(__file__).with_name("servers").glob("[!_]*.py"))

pytest_plugins = ["loopback", "parallel", "built", "reporting", *(f"servers.{name}" for name in SERVERS)]


def pytest_configure(config: pytest.Config) -> None:
    """Tell the report which servers there are; have programs that tests start heed an interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell has it for what runs in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[importlib.import_module("reporting").PROGRAMS] = [
        importlib.import_module(f"servers.{name}").PROGRAM for name in SERVERS
    ]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail what is marked `server(name)` where that server is not installed."""
    for mark in item.iter_markers("server"):
        importlib.import_module(f"servers.{mark.args[0]}").PROGRAM.require()


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the `CAPA_…` variables of whoever runs the tests from choosing their engines."""
    for name in [name for name in os.environ if name.startswith("CAPA_")]:
        monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="module")
def _leaks_show_where_they_are() -> Iterator[None]:
    """Have what was left open found here: the collector would blame a test that happens to run when it does."""
    yield
    gc.collect()


@pytest.fixture(autouse=True)
def _log_level_as_python_has_it() -> None:
    """Take back the level that a program under test, such as Celery's, has set for the whole process."""
    logging.getLogger().setLevel(logging.WARNING)


@pytest.fixture(autouse=True)
def _nothing_embedded_in_the_tree() -> Iterator[None]:
    """Fail a test that lets the embedded default write into the repository instead of a folder of its own."""
    before = _embedded_files()
    yield
    new = sorted(_embedded_files() - before)
    assert not new, (
        f"written into the repository: {new}. Use tmp_path: monkeypatch.chdir, or a runtime of its own"
    )


def _embedded_files() -> set[str]:
    return {str(path.relative_to(ROOT)) for path in (ROOT / ".capa").rglob("*")}
