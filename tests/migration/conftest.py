"""A small project, and the command line over it: in this process, or in one that can be killed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from capa_codemods import discovery
from capa_migration.cli import main

MAPS = [str(path) for path in sorted((Path(__file__).parents[1] / "codemods" / "maps").glob("*.toml"))]

# Not `import_map_paths`: a module that is imported during a test would keep what stands in for it.
INSTALLED_MAPS = "capa_codemods.discovery._installed_maps"
OF_ADAPTERS = discovery._installed_maps

WITH_MAPS = f"""\
import sys
from capa_codemods import discovery
discovery._installed_maps = lambda: {MAPS!r}
from capa_migration.cli import main
sys.exit(main())
"""


class Ran(NamedTuple):
    """Result of a command line."""

    code: int
    out: str
    err: str


Capa = Callable[..., Ran]


@pytest.fixture
def maps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the import maps of the installed adapters by the tests' own."""
    monkeypatch.setattr(INSTALLED_MAPS, lambda: MAPS)
    return MAPS


@pytest.fixture
def adapters_maps(maps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the import maps of the installed adapters."""
    monkeypatch.setattr(INSTALLED_MAPS, OF_ADAPTERS)


@pytest.fixture
def no_maps(maps: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no adapter be installed."""
    monkeypatch.setattr(INSTALLED_MAPS, list)


@pytest.fixture
def capa(maps: list[str], capfdbinary: pytest.CaptureFixture[bytes]) -> Capa:
    def run(*words: object) -> Ran:
        try:
            code = main([str(word) for word in words])
        except SystemExit as usage:  # argparse leaves this way
            code = int(usage.code or 0)
        sys.stdout.flush()
        captured = capfdbinary.readouterr()
        return Ran(
            code, captured.out.decode(errors="surrogateescape"), captured.err.decode(errors="surrogateescape")
        )

    return run


@pytest.fixture
def capa_process() -> Callable[..., list[str]]:
    """Return the words that start the command line in a process of its own."""

    def words(*arguments: object) -> list[str]:
        return [sys.executable, "-c", WITH_MAPS, *map(str, arguments)]

    return words


@pytest.fixture
def shapes(capa: Capa, tmp_path: Path) -> Callable[[str], list[tuple[int, str, str]]]:
    """Return a function that returns the shapes of one file, as `name(arguments)` by line."""

    def run(source: str) -> list[tuple[int, str, str]]:
        (tmp_path / "a.py").write_text(source)
        sites = json.loads(capa("scan", tmp_path / "a.py", "--json").out)["sites"]
        return [
            (s["line"], s["kind"], f"{s['name']}({','.join(s['arguments'])})")
            for s in sites
            if s["kind"] != "import"
        ]

    return run


PROJECT = {
    "app/__init__.py": "",
    "app/api.py": "import requests\n\n\ndef load(url):\n    return requests.get(url).json()\n",
    "app/tasks.py": "from celery import Celery\n\napp = Celery()\n",
    "app/plain.py": "import os\n",
    "tests/test_api.py": 'from unittest.mock import patch\n\n\n@patch("requests.get")\ndef test(get): ...\n',
    "README.md": "import requests\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name, content in PROJECT.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.fixture
def snapshot() -> Callable[[Path], dict[str, bytes]]:
    """Return a function that reads all files of a tree except Capa's own."""

    def take(root: Path) -> dict[str, bytes]:
        files = (path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink())
        return {
            name: path.read_bytes()
            for path in files
            if not (name := path.relative_to(root).as_posix()).startswith(
                (".capa/", ".capa-migrate/", ".git/")
            )
        }

    return take


@pytest.fixture
def git(project: Path) -> Callable[..., str]:
    """Make the project a git work tree with everything committed, and return a function that calls git there."""

    def run(*words: str) -> str:
        settings = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
        return subprocess.run(
            ["git", "-C", str(project), *settings, *words], check=True, capture_output=True, text=True
        ).stdout

    run("init", "-q")
    run("add", "-A")
    run("commit", "-q", "-m", "all")
    return run
