"""Small programs print the same before the rewrite, on the SDK, and after it, on the adapter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from capa_codemods.pipeline.rewrite import Rewrite
from capa_codemods.project import Project
from capa_codemods.rules import all_rules
from capa_codemods.sdks.import_map_file import parse_import_map
from capa_codemods.sdks.names import Names
from capa_codemods.write.splice import splice

MAP = {
    "sdk": {"name": "sdk", "package": "capa_sdk", "extra": "sdk", "roots": ["sdk"], "distributions": ["sdk"]},
    "modules": {name: f"capa_{name}" for name in ("sdk", "sdk.errors", "sdk.net", "sdk.net.http")},
    "names": [
        {"name": "sdk.unserved", "support": "none", "reason": "for the test"},
        {"name": "sdk.old", "support": "none", "reason": "for the test"},
        {"name": "sdk.moved", "to": "capa_sdk.elsewhere.has_moved"},
    ],
}

ROOT_MODULE = """\
def get(what): return f"got {what}"
def fail(): raise Late("too late")
def named(function): function.name = "named"; return function
class Session:
    def get(self, what): return f"session got {what}"
from {package} import errors
from {package}.errors import Late
"""
MODULES = {
    "errors.py": "class Late(Exception): ...\n",
    "net/__init__.py": "",
    "net/http.py": "PORT = 80\n",
}


def _programs() -> list[tuple[str, str]]:
    found = []
    for file in sorted((Path(__file__).parent / "programs").glob("*.txt")):
        name = file.stem
        for part in f"=== {file.stem}\n{file.read_text()}".split("=== ")[1:]:
            title, _, source = part.partition("\n")
            found.append((f"{name}: {title}", source))
    return found


PROGRAMS = _programs()


@pytest.fixture(scope="session")
def installed(tmp_path_factory) -> tuple[Path, Path]:
    """Make the SDK in one folder; in another its adapter, with the names that the map leaves on the SDK."""
    original, adapter = tmp_path_factory.mktemp("original"), tmp_path_factory.mktemp("adapter")
    for folder, package in ((original, "sdk"), (adapter, "capa_sdk")):
        for name, text in {**MODULES, "__init__.py": ROOT_MODULE.replace("{package}", package)}.items():
            path = folder / package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    left = "def unserved(): return 'unserved'\n"
    with (original / "sdk/__init__.py").open("a") as file:
        file.write(left + "def moved(): return 'moved'\n")
    (original / "sdk/old.py").write_text("def relic(): return 'relic'\n")
    (adapter / "capa_sdk/elsewhere.py").write_text("def has_moved(): return 'moved'\n")
    # After the rewrite nothing else of the SDK can be imported, so that whatever was missed fails.
    (adapter / "sdk").mkdir()
    (adapter / "sdk/__init__.py").write_text(left)
    (adapter / "sdk/old.py").write_text("def relic(): return 'relic'\n")
    return original, adapter


@pytest.mark.parametrize(("title", "source"), PROGRAMS, ids=[title for title, _ in PROGRAMS])
def test_program_prints_the_same(installed, tmp_path, title, source):
    original, adapter = installed
    rewrite = Rewrite(Project(str(tmp_path), Names([parse_import_map(MAP, "test")]), []), all_rules())
    outcome = rewrite.examine_data("program.py", source.encode())
    after = splice(source.encode(), outcome.edits)

    assert outcome.status != "failed", outcome.reason
    assert _printed(source.encode(), original, tmp_path) == _printed(after, adapter, tmp_path)


def test_there_are_programs_for_each_form():
    assert len(PROGRAMS) >= 80


def _printed(source: bytes, library: Path, folder: Path) -> str:
    (folder / "program.py").write_bytes(source)
    command = [sys.executable, "-I", "-c", _RUN, str(library), str(folder / "program.py")]
    ran = subprocess.run(command, capture_output=True, text=True)

    assert "" == ran.stderr
    assert ran.stdout
    return ran.stdout


_RUN = """\
import sys, runpy
sys.path.insert(0, sys.argv[1])
sys.modules["__main__"].__dict__.update(runpy.run_path(sys.argv[2], run_name="__main__"))
"""
