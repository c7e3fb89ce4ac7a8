"""An engine, a block or an adapter is added by adding its folder: in a copy of this tree, each is, and works.

Beside the folder, its conformance suite and its tests, a person edits `pyproject.toml` alone (the entry point; the
extra, if a library is needed). `make docs` writes what is read off the code. The copies are of things that are here, as
CONTRIBUTING.md tells newcomers to begin.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from parallel import made_once

ROOT = Path(__file__).parents[2]
PARTS = (".ci", "adapters", "capa_core", "codemods", "docs", "migration", "tests")
FILES = ("CONTRIBUTING.md", "Makefile", "README.md", "pyproject.toml")
GENERATED = {
    "docs/reference",
    "capa_core/aio/__init__.pyi",
    "capa_core/__init__.py",
    "capa_core/components/abilities.json",
    "capa_core/runtime/_runtime.py",
}
"""Written by `make docs`; the modules of Python in the parts that say so."""

pytestmark = pytest.mark.timeout(240)


class Tree:
    """A copy of this tree, with an installation of its own. Of bytecode it takes what it will import."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def fill(self) -> None:
        """Make the copy."""
        for name in PARTS:
            ignored = shutil.ignore_patterns("*-pytest-*.pyc", ".*_cache", "*.png")
            shutil.copytree(ROOT / name, self.root / name, ignore=ignored)
        for name in FILES:
            shutil.copy2(ROOT / name, self.root / name)

    def copy(self, source: str, target: str, **names: str) -> None:
        """Copy a file, with *names* in it replaced."""
        text = (self.root / source).read_text()
        for old, new in names.items():
            text = text.replace(old, new)
        self.write(target, text)

    def write(self, path: str, text: str) -> None:
        """Make a file."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def declare(self, group: str, line: str) -> None:
        """Add an entry point to `pyproject.toml`."""
        path = self.root / "pyproject.toml"
        header = f'[project.entry-points."{group}"]\n'
        text = path.read_text()
        text = (
            text
            if header in text
            else text.replace("[tool.hatch.version]", f"{header}\n[tool.hatch.version]")
        )
        path.write_text(text.replace(header, f"{header}{line}\n"))

    def run(self, *command: str | Path) -> str:
        """Run Python with the copy in the place of the installed distribution, and return its output."""
        folders = ("", "adapters", "codemods", "migration", "site", "tests")
        path = os.pathsep.join(str(self.root / folder) for folder in folders)
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": path, "CAPA_CONFIG": ""},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert 0 == done.returncode, done.stdout + done.stderr
        return done.stdout

    def install(self) -> None:
        """Declare the entry points of `pyproject.toml` to programs in the copy."""
        points = tomllib.loads((self.root / "pyproject.toml").read_text())["project"]["entry-points"]
        lines = [
            f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in each.items())
            for group, each in points.items()
        ]
        self.write(
            "site/capa_core.dist-info/METADATA", "Metadata-Version: 2.1\nName: capa-core\nVersion: 0.1.0\n"
        )
        self.write("site/capa_core.dist-info/entry_points.txt", "\n".join(lines))

    def docs(self) -> None:
        """Write the generated pages, as `make docs` does."""
        for line in (self.root / "Makefile").read_text().splitlines():
            if line.startswith("\t$(BIN)/python docs/"):
                self.run(line.split()[1])

    def edited(self) -> set[str]:
        """Return the files of this tree that are different in the copy and not written by `make docs`."""
        files = (path for name in PARTS for path in (ROOT / name).rglob("*") if path.is_file())
        paths = (*files, *(ROOT / name for name in FILES))
        names = [path.relative_to(ROOT).as_posix() for path in paths if path.suffix != ".pyc"]
        return {
            name
            for name in names
            if (self.root / name).exists() and (self.root / name).read_bytes() != (ROOT / name).read_bytes()
            if not any(name.startswith(each) for each in GENERATED)
        }


@pytest.fixture(scope="module")
def tree(run_folder):
    """A copy with one more engine, block and adapter, and its pages written."""
    return Tree(made_once(run_folder / "additions", lambda folder: _add_all(Tree(folder))))


def _add_all(tree):
    tree.fill()
    _add_engine(tree)
    _add_block(tree)
    _add_adapter(tree)
    tree.install()
    tree.docs()


def _add_engine(tree):
    tree.write("capa_core/components/valkey/__init__.py", '"""Valkey."""\n')
    tree.write(
        "capa_core/components/valkey/engine.toml",
        'title = "Valkey"\nsystem = "valkey"\nlibraries = ["valkey"]\n[schemes.valkey]\nport = 6379\n',
    )
    tree.copy(
        "capa_core/components/memory/state.py",
        "capa_core/components/valkey/state.py",
        MemoryState="ValkeyState",
    )
    tree.declare("capa.state", 'valkey = "capa_core.components.valkey.state:ValkeyState"')


def _add_block(tree):
    names = {"Secrets": "Tokens", "secrets": "tokens", 'face=("Secret", "Tokens")': 'face=("Tokens",)'}
    for name in ("driver", "_portable", "__init__"):
        tree.copy(f"capa_core/blocks/secrets/{name}.py", f"capa_core/blocks/tokens/{name}.py", **names)
    tree.copy(
        "capa_core/blocks/tokens/__init__.py",
        "capa_core/blocks/tokens/__init__.py",
        **{'embedded="file",': 'embedded="memory",\n    in_client=False,'},
    )
    tree.copy("capa_core/components/memory/secrets.py", "capa_core/components/memory/tokens.py", **names)
    tree.copy("capa_core/conformance/secrets.py", "capa_core/conformance/tokens.py", **names)
    tree.declare("capa.tokens", 'memory = "capa_core.components.memory.tokens:MemoryTokens"')


def _add_adapter(tree):
    tree.write("adapters/capa_pika/__init__.py", '"""pika."""\n')
    tree.write("adapters/capa_pika/py.typed", "")
    tree.write(
        "adapters/capa_pika/import_map.toml",
        '[sdk]\nname = "pika"\npackage = "capa_pika"\nextra = "pika"\nroots = ["pika"]\ndistributions = ["pika"]\n'
        '[modules]\n"pika" = "capa_pika"\n',
    )
    tree.declare("capa.adapters", 'pika = "capa_pika"')


def test_an_engine_is_a_folder_and_an_entry_point(tree):
    program = (
        "from capa_core import Runtime; from capa_codemods.engines import scheme\n"
        "r = Runtime({'state': {'default': {'driver': 'valkey', 'legacy': ['valkey://h']}}})\n"
        "r.state().put('k', b'v'); print(r.state().get('k'), r.logical_name('state', 'valkey://H:6379/'))\n"
        "print(scheme('valkey').driver)"
    )

    assert "b'v' default\nvalkey\n" == tree.run("-c", program)
    assert (
        "| Valkey | `capa-core` | state | `valkey://` |"
        in (tree.root / "docs/reference/components.md").read_text()
    )


def test_a_block_is_a_folder_and_an_entry_point_for_each_driver(tree):
    program = (
        "from capa_core import Runtime, Tokens\n"
        "r = Runtime({'tokens': {'default': {'driver': 'memory', 'tokens': {'a': 'b'}}}})\n"
        "print(isinstance(r.tokens(), Tokens), r.tokens().get('a').reveal())\n"
        "print(*{row.block for row in r.report()} & {'tokens'})"
    )

    assert "True b\ntokens\n" == tree.run("-c", program)
    assert "## tokens" in (tree.root / "docs/reference/settings.md").read_text()
    assert " passed" in tree.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/core/test_blocks.py")


def test_an_adapter_is_a_folder_and_an_entry_point(tree):
    program = (
        "from capa_core import Runtime; from capa_codemods.api import import_map_paths\n"
        "r = Runtime({'adapters': {'pika': {'x': 1}}}); print(*r.loaded.settings.adapters)\n"
        "print(*(path for path in import_map_paths() if 'capa_pika' in path))"
    )

    assert f"pika\n{tree.root}/adapters/capa_pika/import_map.toml\n" == tree.run("-c", program)
    assert "`capa_pika`" in (tree.root / "docs/reference/coverage.md").read_text()


def test_nothing_else_is_edited_and_the_import_contracts_hold(tree):
    assert "0 broken" in tree.run(".ci/import_contracts.py")
    assert {"pyproject.toml"} == tree.edited()
