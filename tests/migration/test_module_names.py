"""Attributes by which a module tells its own name: after the rewrite the adapter's, which is told at each use."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from capa_codemods.api import MODULE_NAMES

SOURCE = """import logging
import requests
import requests as r
from requests import adapters
log = logging.getLogger({use})
"""


@pytest.fixture
def tree(capa: object, adapters_maps: None, tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that makes a tree with one module; the maps are the adapters' own."""

    def make(text: str) -> Path:
        (tmp_path / "requirements.txt").write_text("requests\ncelery\n")
        (tmp_path / "log.py").write_text(text)
        return tmp_path

    return make


def _warnings(out: str) -> list[str]:
    return [line for line in out.splitlines() if "behaves otherwise" in line]


@pytest.mark.parametrize(
    ("use", "old", "new"),
    [
        ("requests.__name__", "requests", "capa_requests"),
        ("r.__name__", "requests", "capa_requests"),
        ("adapters.__name__", "requests.adapters", "capa_requests.adapters"),
        ("requests.sessions.__name__", "requests.sessions", "capa_requests.sessions"),
    ],
)
def test_a_name_is_told_by_check_and_apply_with_the_text_to_write(capa, tree, use, old, new):
    root = tree(SOURCE.format(use=use))
    told = [_warnings(capa("migrate", action, root).out) for action in ("check", "apply", "check")]

    line = (
        f"log.py:5: warning: {old}.__name__ behaves otherwise: it is that of `{new}`. "
        f'Next: use `"{old}"`. [requests/module-names]'
    )
    assert [[line]] * 3 == told


@pytest.mark.parametrize("attribute", [name for name in MODULE_NAMES if name != "__name__"])
def test_a_place_is_told_with_a_way_to_the_original(capa, tree, attribute):
    (line,) = _warnings(capa("migrate", "check", tree(SOURCE.format(use=f"requests.{attribute}"))).out)

    assert 'Next: use `importlib.util.find_spec("requests")` with `# capa: ignore[strings]`' in line


@pytest.mark.parametrize(
    "use",
    ["__name__", "requests.__version__", "requests.Session.__name__", '"requests"', "logging.__name__"],
)
def test_other_names_are_not_told(capa, tree, use):
    assert [] == _warnings(capa("migrate", "check", tree(SOURCE.format(use=use))).out)


def test_a_comment_settles_it(capa, tree):
    root = tree(SOURCE.format(use="requests.__name__").rstrip() + "  # capa: ignore[requests/module-names]\n")

    assert [] == _warnings(capa("migrate", "check", root).out)


def test_celery_has_the_same(capa, tree):
    (line,) = _warnings(capa("migrate", "check", tree("import celery\n\nname = celery.__name__\n")).out)

    assert line.endswith('Next: use `"celery"`. [celery/module-names]')


@pytest.mark.parametrize("sdk", ["requests", "celery"])
def test_exactly_these_differ(sdk):
    original, adapter = import_module(sdk), import_module(f"capa_{sdk}")
    others = ("__version__", "__author__", "__license__", "__build__")

    assert all(getattr(original, name) != getattr(adapter, name) for name in MODULE_NAMES)
    assert all(
        getattr(original, name) == getattr(adapter, name) for name in others if hasattr(original, name)
    )


def test_each_adapter_explains_it(capa):
    for sdk in ("requests", "celery", "apollo"):
        assert 0 == capa("explain", f"{sdk}/module-names").code
