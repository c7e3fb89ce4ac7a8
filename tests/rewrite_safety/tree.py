"""Fifty files that a rewrite changes, each odd in its own way, and the checks after every fault."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from capa_migration.cli import main

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""A folder for trees in memory, where there is one: some thousand times fifty files have to be on disk at once."""

FILES = 50
_TEXTS = (
    b"import requests\n\nprint(requests.get)\n",
    b"import requests\r\nfrom celery import Celery\r\n",
    b"from requests import get",
    b"\xef\xbb\xbfimport requests as r\n",
    b"# coding: latin-1\nimport requests  # \xe9\n",
    b"import requests.exceptions\n# " + b"long " * 6_000 + b"\n",
)
_NAMES = ("plain", "with space", "new\nline", "no-utf8-\udcff", "-rf", "größer")
_MODES = (0o644, 0o755, 0o600, 0o664)
_CELL = {
    "cell_type": "code",
    "metadata": {},
    "source": ["import requests\n"],
    "outputs": [],
    "execution_count": None,
}


class State(NamedTuple):
    """The attributes of a file that a rewrite must keep, and the bytes that it may change."""

    data: bytes
    mode: int
    owner: tuple[int, int]
    attributes: tuple[tuple[str, bytes], ...]


class Ran(NamedTuple):
    """The outcome of a run of the command line."""

    code: int
    out: str
    err: str


class Tree:
    """The files before and after the rewrite, and the folder that they are in."""

    def __init__(self, root: Path) -> None:
        """Make the files in *root* and record the result of an undisturbed rewrite."""
        self.root = root
        _make(root)
        self.before = self.states()
        self.run("apply")
        self.after = self.states()
        self.run("undo")
        assert self.before == self.states()
        assert sum(self.before[name] != self.after[name] for name in self.before) == FILES
        self.reset()

    def run(self, *words: str) -> Ran:
        """Run `capa migrate` with *words* on the tree, in this process."""
        with (
            contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(io.StringIO()) as err,
        ):
            code = main(["migrate", *words, str(self.root)])
        return Ran(code, out.getvalue(), err.getvalue())

    def reset(self) -> None:
        """Remove Capa's records of the tree, and make the tree again if it has changed."""
        shutil.rmtree(self.root / ".capa-migrate", ignore_errors=True)
        if self.states() != self.before:
            shutil.rmtree(self.root)
            _make(self.root)

    def states(self) -> dict[str, State]:
        """Return every file but Capa's own."""
        return {
            name: _state(self.root / name) for name in self._files() if not name.startswith(".capa-migrate/")
        }

    def torn(self) -> list[str]:
        """Return the files that are neither old nor new, and those that are missing."""
        found = self.states()
        return [name for name in self.before if found.get(name) not in (self.before[name], self.after[name])]

    def left_over(self) -> list[str]:
        """Return the files and records that a run leaves only when it is cut short."""
        unfinished = (".tmp", ".draft", ".applying", ".undoing")
        return [
            name
            for name in self._files()
            if (name not in self.before and not name.startswith(".capa-migrate/"))
            or any(part.endswith(unfinished) for part in name.split("/"))
        ]

    def records(self) -> int:
        """Return how many rewrites could be undone."""
        return len(list(self.root.glob(".capa-migrate/journal/*")))

    def _files(self) -> Iterator[str]:
        for folder, _, names in os.walk(self.root):
            yield from (str(Path(folder, name).relative_to(self.root)) for name in names)


def _make(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for number in range(FILES - 2):
        folder = root / f"part{number % 4}"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{_NAMES[number % len(_NAMES)]}-{number}.py"
        path.write_bytes(_TEXTS[number % len(_TEXTS)])
        path.chmod(_MODES[number % len(_MODES)])
        if number % 3 == 0:
            with contextlib.suppress(OSError):  # not every file system has them
                os.setxattr(path, "user.capa", b"%d" % number)
        if number % 5 == 0 and os.geteuid() == 0:
            os.chown(path, 1234, 4321)
    (root / "requirements.txt").write_text("requests>=2\n")
    notebook = {"cells": [_CELL], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (root / "look.ipynb").write_text(json.dumps(notebook))


def _state(path: Path) -> State:
    found = path.lstat()
    names = sorted(os.listxattr(path, follow_symlinks=False)) if hasattr(os, "listxattr") else []
    attributes = tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in names)
    return State(path.read_bytes(), stat.S_IMODE(found.st_mode), (found.st_uid, found.st_gid), attributes)
