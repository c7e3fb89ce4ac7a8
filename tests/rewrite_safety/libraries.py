"""Rewrite libraries that others have written, from end to end, and judge every file: the standard library and all
installed packages, with frequent modules in place of an SDK, so that nearly every file changes.
"""

from __future__ import annotations

import contextlib
import io
import sysconfig
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from unittest.mock import patch

from rewrite_safety.oracle import Oracle, is_outside_kept

from capa_codemods.api import Journal, PlannedFile, WriteResult, apply_files
from capa_migration.cli import main

EVERYWHERE = (
    "os",
    "re",
    "sys",
    "typing",
    "collections",
    "functools",
    "logging",
    "unittest",
    "io",
    "time",
    "types",
)
SUBMODULES = (
    "os.path",
    "collections.abc",
    "unittest.mock",
    "logging.handlers",
    "importlib.util",
    "importlib",
)


def everywhere() -> str:
    """Return an import map that moves frequent modules, and leaves one name of them, so that statements split."""
    modules = "\n".join(f'"{name}" = "capa_x.{name}"' for name in (*EVERYWHERE, *SUBMODULES))
    return f"""
[sdk]
name = "x"
package = "capa_x"
extra = "x"
roots = {[*EVERYWHERE, "importlib"]}
distributions = ["x"]

[modules]
{modules}

[[names]]
name = "typing.Any"
support = "none"
reason = "to make statements split"
"""


def moves(texts: Sequence[str]) -> dict[str, str]:
    """Return the names that the import maps *texts* move: old full name → new full name."""
    tables = [tomllib.loads(text) for text in texts]
    names = {line["name"]: line["to"] for table in tables for line in table.get("names", []) if "to" in line}
    return {old: new for table in tables for old, new in table["modules"].items()} | names


@cache
def installed_files() -> Sequence[Path]:
    """Return all Python files of the standard library and of the installed packages."""
    folders = [Path(sysconfig.get_path(kind)) for kind in ("stdlib", "purelib")]
    names = {str(file) for folder in folders for file in folder.rglob("*.py") if file.is_file()}
    return list(map(Path, sorted(names)))


def rewrite(files: Sequence[Path], folder: Path, maps: Sequence[str]) -> Counter[str]:
    """Copy *files* into *folder*, rewrite the copies with *maps*, again, undo, and count the outcomes."""
    root = folder / "tree"
    copies = dict(_copied(files, root))
    counts = Counter(
        dict.fromkeys(("wrong", "changed outside edits", "touched without a plan"), 0), files=len(copies)
    )
    with _only(maps, folder):
        planned, output = _apply(root)
        counts["changed"] = len(planned)
        counts["could not be proven"] = output.count("the rewrite could not be proven")
        counts.update(_judged(copies, {str(root / one.path): one for one in planned}, Oracle(moves(maps))))
        counts["changed by a second run"] = len(_apply(root)[0])
        _run("undo", root)
    counts["not undone"] = sum(path.read_bytes() != data for path, data in copies.items())
    return counts


def _judged(copies: dict[Path, bytes], planned: dict[str, PlannedFile], oracle: Oracle) -> Iterator[str]:
    for path, before in copies.items():
        after = path.read_bytes()
        one = planned.get(str(path))
        if one is None:
            yield from ["touched without a plan"] * (after != before)
        elif not is_outside_kept(before, after, one.edits):
            yield "changed outside edits"
        elif found := oracle.difference(before, after):
            print(f"  {path}: {found[:300]}", flush=True)
            yield "wrong"
        else:
            yield "same program"


def _copied(files: Sequence[Path], root: Path) -> Iterator[tuple[Path, bytes]]:
    for number, file in enumerate(files):
        # Under unused names: beside its neighbours, `types.py` would make `types` the tree's own module.
        path = root / f"part{number // 100}" / f"m{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        data = file.read_bytes()
        path.write_bytes(data)
        yield path, data


def _apply(root: Path) -> tuple[list[PlannedFile], str]:
    """Run `capa migrate apply` and return the written files and the output."""
    seen: list[PlannedFile] = []

    def watched(journal: Journal, files: Sequence[PlannedFile], *rest: object) -> WriteResult:
        seen.extend(files)
        return apply_files(journal, files, *rest)

    with patch("capa_migration.rewrite.apply.apply_files", watched):
        return seen, _run("apply", root)


def _run(action: str, root: Path) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.redirect_stderr(output):
        main(["migrate", action, str(root)])
    return output.getvalue()


@contextlib.contextmanager
def _only(maps: Sequence[str], folder: Path) -> Iterator[None]:
    """Take *maps* for those of the installed adapters."""
    paths = [str(folder / f"{number}.toml") for number in range(len(maps))]
    for path, text in zip(paths, maps, strict=True):
        Path(path).write_text(text)
    with patch("capa_codemods.discovery._installed_maps", lambda: paths):
        yield
