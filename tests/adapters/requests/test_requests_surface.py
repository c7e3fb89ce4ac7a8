"""The shim has the original's names, and where it can, the original's objects."""

import importlib
import inspect
import subprocess
import sys
import tomllib
from importlib.resources import files

import pytest
import requests
import urllib3.exceptions

import capa_requests

MAP = tomllib.loads(files("capa_requests").joinpath("import_map.toml").read_text())
MODULES = MAP["modules"]
#: The original says it itself from 2.34 on.
EXPORTED = getattr(requests, "__all__", capa_requests.__all__)
FUNCTIONS = ["delete", "get", "head", "options", "patch", "post", "put", "request"]
OWN = {"requests", "requests.adapters", "requests.api", "requests.sessions"}


def test_the_package_exports_what_the_original_does() -> None:
    assert sorted(EXPORTED) == sorted(capa_requests.__all__)


@pytest.mark.parametrize("old", sorted(set(MODULES) - OWN))
def test_an_unchanged_module_is_the_original_itself(old: str) -> None:
    theirs = pytest.importorskip(old, reason="this version of requests has no such module")

    assert theirs is importlib.import_module(MODULES[old])


@pytest.mark.parametrize("old", sorted(OWN))
def test_a_module_of_ours_has_every_name_of_the_original(old: str) -> None:
    theirs, ours = importlib.import_module(old), importlib.import_module(MODULES[old])

    missing = [name for name in vars(theirs) if not hasattr(ours, name)]

    assert missing == []


def test_the_version_is_a_text_although_a_module_has_its_name() -> None:
    importlib.import_module("capa_requests.__version__")

    assert requests.__version__ == capa_requests.__version__


def test_all_but_session_and_the_functions_are_the_originals_own_objects() -> None:
    different = [name for name in EXPORTED if getattr(requests, name) is not getattr(capa_requests, name)]

    assert sorted([*FUNCTIONS, "Session", "session"]) == sorted(different)


def test_our_classes_are_the_originals() -> None:
    session = capa_requests.Session()

    assert isinstance(session, requests.Session)
    assert all(isinstance(adapter, requests.adapters.HTTPAdapter) for adapter in session.adapters.values())


def test_a_session_has_the_attributes_of_the_original() -> None:
    assert sorted(vars(requests.Session())) == sorted(vars(capa_requests.Session()))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (requests.Session.request, capa_requests.Session.request),
        (requests.Session.send, capa_requests.Session.send),
        (requests.adapters.HTTPAdapter.send, capa_requests.adapters.HTTPAdapter.send),
        *((getattr(requests, name), getattr(capa_requests, name)) for name in FUNCTIONS),
    ],
    ids=lambda value: value.__qualname__,
)  # fmt: skip
def test_arguments_have_the_names_order_and_defaults_of_the_original(theirs: object, ours: object) -> None:
    def shape(function: object) -> list[tuple[str, object, object]]:
        parameters = inspect.signature(function).parameters.values()
        return [(each.name, each.kind, each.default) for each in parameters]

    assert shape(theirs) == shape(ours)


def test_names_below_packages_are_imported_as_before() -> None:
    from capa_requests.packages.urllib3.exceptions import InsecureRequestWarning

    assert urllib3.exceptions.InsecureRequestWarning is InsecureRequestWarning


def test_importing_the_shim_imports_nothing_of_the_core_but_the_adapter_kit() -> None:
    code = "import sys, capa_requests; print([name for name in sys.modules if name.startswith('capa_core.')])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    kit = ("capa_core.shims", "capa_core.lazy")
    assert [] == [name for name in eval(done.stdout) if not name.startswith(kit)]
