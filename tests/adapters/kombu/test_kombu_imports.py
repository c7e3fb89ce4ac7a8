"""The names of `capa_kombu` and its modules."""

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path
from unittest.mock import patch

import kombu
import pytest

import capa_kombu

MAP = tomllib.loads(Path(capa_kombu.__file__).with_name("import_map.toml").read_text())
OWN = {"kombu": {"Connection", "BrokerConnection"}, "kombu.connection": {"Connection", "ConnectionPool"}}


@pytest.mark.parametrize(("old", "new"), MAP["modules"].items())
def test_each_public_name_is_there_and_the_originals_own(old: str, new: str) -> None:
    theirs = pytest.importorskip(old, reason="this version of kombu has no such module")
    ours = importlib.import_module(new)
    names = [name for name in getattr(theirs, "__all__", ()) if hasattr(theirs, name) and name[:2] != "__"]
    differing = {name for name in names if getattr(ours, name) is not getattr(theirs, name)}

    assert OWN.get(old, set()) == differing


def test_a_module_is_either_served_or_said_not_to_be() -> None:
    package = Path(kombu.__path__[0])
    files = [path.relative_to(package.parent).with_suffix("") for path in package.rglob("*.py")]
    modules = {".".join(path.parts).removesuffix(".__init__") for path in files}
    unserved = MAP["sdk"]["unserved"]
    below = tuple(f"{name}." for name in unserved)
    left = {name for name in modules if name not in unserved and not name.startswith(below)}

    assert set() == left - MAP["modules"].keys()


def test_patching_through_the_new_name_reaches_the_code_that_runs() -> None:
    importlib.import_module("capa_kombu.common")
    with patch("capa_kombu.common.uuid", return_value="patched"):
        assert importlib.import_module("kombu.common").uuid() == "patched"


def test_a_connection_is_one_of_kombu() -> None:
    assert issubclass(capa_kombu.Connection, kombu.Connection)
    assert capa_kombu.Connection is capa_kombu.BrokerConnection is capa_kombu.connection.Connection


def test_an_import_costs_neither_the_runtime_nor_pydantic() -> None:
    program = "import sys, capa_kombu; print({'capa_core.runtime', 'pydantic'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "set()\n" == done.stdout


def test_every_link_to_the_differences_leads_somewhere() -> None:
    text = Path(__file__).parents[3].joinpath("docs/differences/kombu.md").read_text().lower()
    headings = {line.lstrip("# ").replace(" ", "-") for line in text.splitlines() if line.startswith("#")}

    assert {name["see"].partition("#")[2] for name in MAP["names"]} <= headings
