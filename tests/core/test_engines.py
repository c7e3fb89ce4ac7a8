"""Engines as data: the runtime follows `engine.toml`, including those of other distributions."""

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import capa_core
from capa_core import Runtime
from capa_core.block import blocks
from capa_core.components.memory.pubsub import MemoryPubSub
from capa_core.components.redis.pubsub import RedisPubSub
from capa_core.engine import engine_of, engines, scheme_of, system_of
from capa_core.errors import SettingsError
from capa_core.runtime._registry import drivers

COMPONENTS = Path(capa_core.__file__).parent / "components"


def test_each_folder_of_components_has_an_engine_of_its_name():
    folders = {path.name for path in COMPONENTS.iterdir() if path.is_dir() and path.name != "__pycache__"}

    assert folders <= set(engines())


@pytest.mark.parametrize("block", blocks().values(), ids=list(blocks()))
def test_each_driver_has_an_engine(block):
    points = entry_points(group=block.group)

    assert {} == {point.name: point.value for point in points if engine_of(point.module) is None}


def test_no_two_engines_share_a_scheme():
    schemes = [name for engine in engines().values() for name in engine.schemes]

    assert sorted(set(schemes)) == sorted(schemes)


@pytest.mark.parametrize(
    ("name", "engine", "scheme", "port"),
    [
        ("rediss", "redis", "rediss", 6379),
        ("pyamqp", "rabbitmq", "amqp", 5672),
        ("https", "http", "https", 443),
    ],
)
def test_a_scheme_leads_to_its_engine(name, engine, scheme, port):
    found, meant = scheme_of(name)

    assert (engine, scheme, port) == (found.name, meant.name, meant.port)


def test_a_scheme_of_no_engine_is_not_known():
    assert scheme_of("gopher") is None


def test_spans_name_the_system_that_the_engine_is():
    class Elsewhere:
        __module__ = "somewhere.else"

    assert ["memory", "redis", "elsewhere"] == list(map(system_of, [MemoryPubSub, RedisPubSub, Elsewhere]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('title = "X"\nsystem = "x"\nschema = "x"', "unknown key 'schema'. Did you mean 'schemes'?"),
        ('title = "X"', "cannot be read: .*'system'"),
        (
            'title = "X"\nsystem = "x"\nreach = "disk"',
            "unknown reach 'disk'. Known: machine, network, process.",
        ),
        ('title = "X"\nsystem = "x"\n[schemes.y]\nsame_as = "z"', "cannot be read: 'z'"),
        ("title", "cannot be read: "),
    ],
)
def test_an_error_in_a_file_names_the_file_and_the_reason(text, message, tmp_path, monkeypatch):
    _package(tmp_path, "capa_wrong", text)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(SettingsError, match=f"capa_wrong/engine.toml: {message}"):
        engine_of("capa_wrong.state")


def _package(folder, name, engine):
    (folder / name).mkdir()
    (folder / name / "__init__.py").touch()
    (folder / name / "engine.toml").write_text(engine)


OTHER_DISTRIBUTION = """
title = "Valhalla"
extra = "speedy"
system = "valhalla"
[schemes.valhalla]
port = 7777
"""
PROGRAM = """
from capa_core import Runtime
from capa_core.errors import MissingExtraError
from capa_codemods.engines import scheme

table = {"driver": "valhalla", "legacy": ["valhalla://h"]}
runtime = Runtime({"state": {"cache": table}})
print(runtime.logical_name("state", "valhalla://H:7777/"), scheme("valhalla").driver, scheme("valhalla").port)
try:
    runtime.state("cache")
except MissingExtraError as error:
    print(error)
"""


def test_an_engine_of_another_distribution_is_found_by_its_entry_point(tmp_path):
    _package(tmp_path, "valhalla", OTHER_DISTRIBUTION)
    (tmp_path / "valhalla" / "state.py").write_text("import no_such_library\n")
    info = tmp_path / "capa_valhalla-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: capa-valhalla\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[capa.state]\nvalhalla = valhalla.state:ValhallaState\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=tmp_path,
    )

    assert (
        "cache valhalla 7777\n"
        "code: state.cache.driver: driver 'valhalla' needs the library 'no_such_library'."
        " Run: pip install 'capa-valhalla[speedy]'\n" == done.stdout
    )


BROKEN = """
from capa_core.components.memory.state import MemoryState

class Fails(MemoryState):
    def __init__(self, settings):
        raise RuntimeError("no licence")

class Unreachable(MemoryState):
    def ping(self):
        raise ZeroDivisionError("oops")

class Other: ...
"""
ENTRIES = {"fails": "Fails", "other": "Other", "missing": "Nothing", "unreachable": "Unreachable"}


@pytest.fixture
def broken_package(tmp_path, monkeypatch):
    """A distribution whose drivers are broken, each in another way."""
    _package(tmp_path, "niflheim", OTHER_DISTRIBUTION.replace("valhalla", "niflheim"))
    (tmp_path / "niflheim" / "state.py").write_text(BROKEN)
    info = tmp_path / "capa_niflheim-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: capa-niflheim\nVersion: 1.0\n")
    lines = [f"{name} = niflheim.state:{value}" for name, value in ENTRIES.items()]
    (info / "entry_points.txt").write_text("\n".join(["[capa.state]", *lines]))
    monkeypatch.syspath_prepend(str(tmp_path))
    drivers.cache_clear()
    yield
    drivers.cache_clear()


@pytest.mark.parametrize(
    ("driver", "cause"),
    [
        ("fails", "RuntimeError: no licence"),
        ("other", "TypeError: it is no subclass of capa_core.driver.Driver"),
        ("missing", "AttributeError: module 'niflheim.state' has no attribute 'Nothing'"),
    ],
)
def test_a_broken_driver_of_another_package_is_named_with_its_package(broken_package, driver, cause):
    with Runtime({"state": {"default": {"driver": driver}}}, environ={}) as runtime:
        told = f"code: state.default.driver: driver '{driver}' of capa-niflheim 1.0 (niflheim.state:{ENTRIES[driver]})"
        with pytest.raises(
            SettingsError, match=re.escape(f"{told} cannot be used: {cause}. Nothing was started")
        ):
            runtime.state()


def test_a_driver_that_fails_does_not_hide_the_others_in_the_report(broken_package):
    with Runtime({"state": {"default": {"driver": "unreachable"}}}, environ={}) as runtime:
        (row,) = [row for row in runtime.report() if row.block == "state"]

        assert (False, "its driver failed: ZeroDivisionError: oops") == row.answer(runtime)
