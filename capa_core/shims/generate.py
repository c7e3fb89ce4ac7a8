"""Modules of an adapter that follow from its import map: written by `python -m capa_core.shims.generate FOLDER…`.

They are `_sdk.py`, and each module that the import map lists, unless it is written by hand: a module becomes another
name of the original's, a package stands in front of the original's. A file that lacks the notice below is written by
hand and left alone. `--check` writes nothing and exits with 1 if a file would change.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NOTICE = "# Generated from import_map.toml by `python -m capa_core.shims.generate`: change it there.\n"
MAP = "import_map.toml"

_ALIAS = '''"""`{old}`: the original module itself, with its state and patches."""

from typing import TYPE_CHECKING, Any

from {old} import *  # noqa: F403 - for type checkers and readers

from capa_core import shims as _shims

if TYPE_CHECKING:  # names that a type checker does not find in an original without types

    def __getattr__(name: str) -> Any: ...


_shims.alias(__name__, "{old}"{submodules})
'''
_MIRROR = '''"""`{old}`: its names, and the submodules that this adapter has."""

from typing import TYPE_CHECKING, Any

from {old} import *  # noqa: F403 - for type checkers and readers

from capa_core import shims as _shims

if TYPE_CHECKING:  # names that a type checker does not find in an original without types

    def __getattr__(name: str) -> Any: ...


_shims.mirror(__name__, "{old}")
'''


def outdated(folder: Path) -> dict[Path, str | None]:
    """Return the files of the adapter in *folder* that differ from its import map.

    Returns:
        Path → the content of the file; `None` for a generated file to remove.
    """
    wanted = dict(_rendered(folder))
    present = {path: path.read_text() for path in folder.rglob("*.py") if _is_generated(path)}
    changed: dict[Path, str | None] = {
        path: text for path, text in wanted.items() if present.get(path) != text
    }
    return changed | dict.fromkeys(present.keys() - wanted.keys())


def write(changes: Mapping[Path, str | None]) -> None:
    """Write the files that `outdated` returned."""
    for path, text in changes.items():
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def _rendered(folder: Path) -> Iterator[tuple[Path, str]]:
    table = tomllib.loads((folder / MAP).read_text())
    yield folder / "_sdk.py", NOTICE + _sdk(table["sdk"])
    modules: dict[str, str] = table["modules"]
    for old, new in modules.items():
        place = folder.joinpath(*new.split(".")[1:])
        files = (place.with_suffix(".py"), place / "__init__.py")
        if place == folder or any(path.exists() and not _is_generated(path) for path in files):
            continue
        if not all(_is_package(each, modules) for each in _above(old)):
            continue  # no file of the original's either: the alias of the module above leads to it
        if _is_package(old, modules):
            yield files[1], NOTICE + _MIRROR.format(old=old)
        else:
            below = any(each.startswith(f"{old}.") for each in modules)
            submodules = ", submodules=True" if below else ""
            yield files[0], NOTICE + _ALIAS.format(old=old, submodules=submodules)


def _above(module: str) -> Iterator[str]:
    """Yield the modules that *module* is below, the nearest first."""
    while above := module.rpartition(".")[0]:
        yield above
        module = above


def _sdk(sdk: Mapping[str, Any]) -> str:
    values = {
        "package": sdk["package"],
        "name": sdk["name"],
        "extra": sdk["extra"],
        "root": sdk["roots"][0],
        "versions": sdk.get("versions"),
        "dependencies": sdk.get("dependencies"),
        "sides": sdk.get("sides"),
        "settings": sdk.get("settings"),
        "backlog": sdk.get("backlog"),
    }
    lines = "".join(f"    {key}={_literal(value)},\n" for key, value in values.items() if value is not None)
    return (
        '"""The SDK as its import map declares it."""\n\n'
        f"from capa_core.shims import Sdk\n\nSDK = Sdk(\n{lines})\n"
    )


def _literal(value: str | Sequence[str] | Mapping[str, str]) -> str:
    """Return *value* as the formatter writes it."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f'"{key}": "{one}"' for key, one in value.items()) + "}"
    return "(" + ", ".join(f'"{one}"' for one in value) + ("," if len(value) == 1 else "") + ")"


def _is_package(module: str, modules: Mapping[str, str]) -> bool:
    """Return whether *module* of the original is a package; if this version has no such module, the map decides."""
    try:
        spec = find_spec(module)
    except (ModuleNotFoundError, ValueError):  # kombu puts an object of its own, without a spec, in its place
        spec = None
    if spec is None:
        return any(each.startswith(f"{module}.") for each in modules)
    return spec.submodule_search_locations is not None


def _is_generated(path: Path) -> bool:
    with path.open(encoding="utf-8") as file:
        return file.readline() == NOTICE


def main(words: Sequence[str] | None = None) -> int:
    """Write the generated modules of the adapters in the folders given, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m capa_core.shims.generate", description=__doc__)
    parser.add_argument("folders", metavar="FOLDER", nargs="+", type=Path, help="the package of an adapter")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 if a file would change"
    )
    arguments = parser.parse_args(words)
    changes: dict[Path, str | None] = {}
    for folder in arguments.folders:
        changes |= outdated(folder)
    if not arguments.check:
        write(changes)
    for path, text in sorted(changes.items()):
        sys.stdout.write(f"{path}: {'outdated' if arguments.check else 'written' if text else 'removed'}\n")
    return 1 if arguments.check and changes else 0


if __name__ == "__main__":
    sys.exit(main())
