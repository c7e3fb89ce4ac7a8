"""Tests that name what they patch by expressions: after the rewrite each passes, or `check` names its place."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAD = """\
import sys
from importlib import import_module
from string import Template
from types import SimpleNamespace
from unittest.mock import patch

from shop.api import load


def answer(url):
    return SimpleNamespace(text="patched")


"""
API = 'import requests\n\n\ndef load():\n    return requests.get("http://127.0.0.1:9/").text\n'
NAMES = 'MODULE = "requests"\nTARGET = "requests.get"\nTABLE = {\n    "get": "requests.get",\n}\n'

MOVED = {
    "literal": 'TARGET = "requests.get"',
    "f_string": 'MODULE = "requests"\nTARGET = f"{MODULE}.get"',
    "sum": 'TARGET = "requests" + ".get"',
    "percent": 'TARGET = "%s.get" % "requests"',
    "percent_of_name": 'M = "requests"\nTARGET = "%s.%s" % (M, "get")',
    "format": 'M = "requests"\nTARGET = "{}.get".format(M)',
    "format_by_name": 'TARGET = "{m}.get".format(m="requests")',
    "literal_in_f_string": "TARGET = f\"{'requests'}.get\"",
    "join": 'TARGET = ".".join(("requests", "get"))',
    "parameter": 'def target_in(module):\n    return module + ".get"\n\n\nTARGET = target_in("requests")',
}
"""Name → code that gives TARGET what is to be patched."""

WARNED = {
    "loop": 'MODULE = "requests"\nTARGET = [f"{MODULE}.{name}" for name in ("post", "get")][-1]',
    "printed": 'MODULE = "requests"\nprint(MODULE)\nTARGET = MODULE + ".get"',
    "other_test": 'from tests.targets import target_of\n\nTARGET = target_of("requests" + ".", \'get\')',
    "app_constant": "from shop.names import TARGET",
    "app_table": 'from shop import names\n\nTARGET = names.TABLE["get"]',
    "app_module": 'from shop.names import MODULE\n\nTARGET = f"{MODULE}.get"',
}
COMPUTED = {
    "percent_by_name": 'TARGET = "%(m)s.get" % {"m": "requests"}',
    "added": 'TARGET = "requests"\nTARGET += ".get"',
    "split": 'TARGET = "requests.get requests.post".split()[0]',
    "format_map": 'TARGET = "{m}.get".format_map({"m": "requests"})',
    "format_of_table": 'TARGET = "{m}.get".format(**{"m": "requests"})',
    "format_of_items": 'TARGET = "{}.{}".format(*["requests", "get"])',
    "template": 'TARGET = Template("$m.get").substitute(m="requests")',
    "replaced": 'TARGET = "x.get".replace("x", "requests")',
    "replaced_dash": 'TARGET = "requests-get".replace("-", ".")',
    "stripped": 'TARGET = " requests.get ".strip()',
    "escaped": 'TARGET = "requests\\x2eget"',
    "parts": 'TARGET = "requests" ".get"',
}
"""Name → code that gives TARGET what is to be patched, in ways that the rewrite does not follow."""
PATCHED = "\n\n\ndef test_it():\n    with patch(TARGET, answer):\n        assert load() == 'patched'\n"
BY_MODULE = {"imported": "import_module(MODULE)", "held": "sys.modules[MODULE]"}
"""Name → the module whose attribute is patched."""
PATCHED_MODULE = """\
MODULE = "requests"


def test_it():
    with patch.object({module}, "get", answer):
        assert load() == "patched"
"""


@pytest.fixture
def shop(tmp_path):
    files = {
        f"tests/test_{name}.py": HEAD + code + PATCHED for name, code in (MOVED | WARNED | COMPUTED).items()
    }
    files |= {
        f"tests/test_{name}.py": HEAD + PATCHED_MODULE.format(module=module)
        for name, module in BY_MODULE.items()
    }
    files |= {"shop/api.py": API, "shop/names.py": NAMES, "requirements.txt": "requests\n"}
    files |= {"tests/targets.py": "def target_of(*parts):\n    return ''.join(parts)\n"}
    files |= {"shop/__init__.py": "", "tests/__init__.py": ""}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def _failing(folder):
    """Return the names of the tests that fail."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder, folder]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    lines = [line.split()[1] for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return {line.partition("::")[0].rpartition("/test_")[2].removesuffix(".py") for line in lines}


@pytest.mark.timeout(120)
def test_each_test_passes_after_the_rewrite_or_its_place_is_named(capa, shop):
    before = _failing(shop)
    applied = capa("migrate", "apply", shop)
    checked = capa("migrate", "check", shop, "--json")
    found = [one for one in json.loads(checked.out)["findings"] if one["level"] == "warning"]
    named = {(one["path"].rpartition("/")[2], one["line"]) for one in found}
    line = HEAD.count("\n") + 1

    assert (set(), 1) == (before, checked.code), applied.err
    in_tests = {f"test_{name}.py" for name in ("loop", "printed", "held", "other_test", *COMPUTED)}
    assert {*in_tests, "names.py"} == {path for path, _ in named}
    assert {("names.py", 1), ("names.py", 2), ("names.py", 4), ("test_held.py", line)} <= named
    assert {(f"test_{name}.py", line) for name in COMPUTED} <= named
    assert {*WARNED, *COMPUTED, "held"} == _failing(shop)
    assert all(one["blocks"] for one in found)
