"""The names of `capa_celery` and its modules."""

import importlib
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path
from unittest.mock import patch

import celery
import pytest

import capa_celery

MAP = tomllib.loads(Path(capa_celery.__file__).with_name("import_map.toml").read_text())
OWN = {
    "celery": "Celery",
    "celery.app": "Celery",
    "celery.app.base": "Celery",
}


@pytest.mark.parametrize(("old", "new"), MAP["modules"].items())
def test_each_public_name_is_there_and_the_originals_own(old: str, new: str) -> None:
    theirs = pytest.importorskip(old, reason="this version of Celery has no such module")
    ours = importlib.import_module(new)
    names = [name for name in getattr(theirs, "__all__", ()) if hasattr(theirs, name) and name[:2] != "__"]
    differing = [name for name in names if getattr(ours, name) is not getattr(theirs, name)]

    assert set(differing) <= {OWN.get(old, "")}


def test_a_name_that_is_said_to_be_removed_is_gone_and_no_other() -> None:
    gone = {one["name"] for one in MAP["names"] if one.get("see", "").endswith("#removed-names")}
    staying = {one["name"] for one in MAP["names"]} - gone
    there = {name for name in {*gone, *staying} if _is_there(name)}

    assert set() == gone & there
    assert set() == staying - there
    assert {"celery.task", "celery.decorators"} <= gone


def _is_there(name: str) -> bool:
    """Return whether the installed Celery has the module or the name of a module, or of a class in one, *name*."""
    module, _, rest = name, "", ""
    while module:
        try:
            found = importlib.import_module(module)
        except ModuleNotFoundError:
            module, _, last = module.rpartition(".")
            rest = f"{last}.{rest}".rstrip(".")
            continue
        for part in filter(None, rest.split(".")):
            if inspect.isroutine(found):
                return True  # the rest is of what it returns
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_unchanged_modules_are_the_same_objects() -> None:
    from capa_celery import schedules, signals
    from capa_celery.utils import log

    assert (True, True, True) == (
        schedules is celery.schedules,
        signals is celery.signals,
        log is importlib.import_module("celery.utils.log"),
    )


def test_a_module_of_its_own_comes_also_from_the_package_that_is_asked_for_it() -> None:
    program = "import celery.app; from capa_celery import app; print(app.__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "capa_celery.app\n" == done.stdout


def test_patching_through_the_new_name_reaches_the_code_that_runs() -> None:
    importlib.import_module("capa_celery.utils.time")
    with patch("capa_celery.utils.time.maybe_iso8601", return_value="patched"):
        assert importlib.import_module("celery.utils.time").maybe_iso8601("x") == "patched"


def test_the_application_is_an_application_of_celery() -> None:
    assert issubclass(capa_celery.Celery, celery.Celery)


def test_a_name_that_celery_has_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="capa_celery"):
        capa_celery.nothing_of_that_name  # noqa: B018


def test_every_link_to_the_differences_leads_somewhere() -> None:
    text = Path(__file__).parents[3].joinpath("docs/differences/celery.md").read_text().lower()
    headings = {
        line.lstrip("# ").replace(",", "").replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    links = {name["see"].partition("#")[2] for name in MAP["names"] if "see" in name}

    assert links <= headings
