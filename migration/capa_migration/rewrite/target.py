"""The target of a run: the tree around the user's paths, and the options in its pyproject.toml."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from capa_codemods.api import LARGEST_BYTES, MIGRATE_FOLDER, git_top_level, is_git_ignored, read_file
from capa_migration.errors import OptionsError, TargetError

_MARKERS = (".git", "pyproject.toml", "setup.py", "setup.cfg")
_TABLE_KEYS = ("roots", "exclude", "only", "skip", "with")


class Target:
    """One tree, or parts of it.

    Attributes:
        root: Absolute path of the tree; `.capa/` lies here.
        scopes: The parts of it that the user named, relative with forward slashes; empty for all of it.
    """

    def __init__(self, paths: str | Sequence[str]) -> None:
        """Find the tree around *paths*. For paths in several projects it is the tree around all of these.

        Raises:
            TargetError: There is nothing at one of *paths*, or no tree is around all of them.
        """
        absolute = [_existing(path) for path in ([paths] if isinstance(paths, str) else paths)]
        folders = {path if os.path.isdir(path) else os.path.dirname(path) for path in absolute}
        roots = {_root_of(folder) for folder in folders}
        self.root = roots.pop() if len(roots) == 1 else _around(sorted(roots))
        folder = os.path.commonpath([*folders])
        if self.root != folder and len(absolute) == 1 and is_git_ignored(self.root, absolute[0]):
            # git ignores the part in the tree around it: the part is a tree of its own.
            self.root = folder
        scopes = tuple(os.path.relpath(path, self.root).replace(os.sep, "/") for path in absolute)
        self.scopes = () if "." in scopes else scopes

    def within(self, paths: list[str]) -> list[str]:
        """Return the *paths* that are in the scopes."""
        if not self.scopes:
            return paths
        named, inside = set(self.scopes), tuple(f"{scope}/" for scope in self.scopes)
        return [path for path in paths if path in named or path.startswith(inside)]


class Options:
    """Options of a run, from the command line first, else from pyproject.toml.

    Attributes:
        only: Rules to run; empty for all.
        skip: Rules not to run.
        exclude: Folders and files, relative to the root, to leave out.
        roots: Folders, relative to the root, that are on `sys.path` when the application runs.
        asked: Rules to run in addition to the usual ones: `--with`, and `with` in pyproject.toml.
        settings: Rule → the keys of `[tool.capa.migrate.<rule>]`.
        source: The pyproject.toml that they have been filled from; empty before.
    """

    def __init__(
        self,
        only: tuple[str, ...] = (),
        skip: tuple[str, ...] = (),
        exclude: tuple[str, ...] = (),
        roots: tuple[str, ...] = (),
        *,
        asked: tuple[str, ...] = (),
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        source: str = "",
    ) -> None:
        """Hold the options as the command line gives them."""
        self.only = only
        self.skip = skip
        self.exclude = exclude
        self.roots = roots
        self.asked = asked
        self.settings = settings or {}
        self.source = source

    def key(self) -> str:
        """Return a text that is the same for the same options."""
        parts = (self.only, self.skip, self.exclude, self.roots, self.asked)
        return ";".join(",".join(part) for part in parts)

    def filled(self, root: str) -> Options:
        """Return these options with `[tool.capa.migrate]` of the tree at *root* for those that are not given.

        Raises:
            OptionsError: The table is wrong, or a path to leave out does not exist.
        """
        for name in self.exclude:  # a table may name a folder that does not exist yet, such as build/
            if not os.path.lexists(f"{root}/{name.strip('/')}"):
                raise OptionsError(
                    f"--exclude {name}: no such file or folder in {root}: give a path relative to that folder"
                )
        path = f"{root}/pyproject.toml"
        table = _table(path)
        # A sub-table holds the settings of the rule with its name.
        settings = {key: value for key, value in table.items() if isinstance(value, dict)}
        listed = {key: _listed(path, key, value) for key, value in table.items() if key not in settings}
        _refuse_patterns(path, root, listed.get("exclude", ()))
        given = (getattr(self, key) or listed.get(key, ()) for key in ("only", "skip", "exclude", "roots"))
        asked = (*self.asked, *listed.get("with", ()))
        return Options(*given, asked=asked, settings=settings, source=path)

    def place_of(self, rule: str, key: str = "") -> str:
        """Return the place where pyproject.toml names *rule*, or sets *key* of it, as the beginning of a message.

        Empty if only the command line names it.
        """
        named = _table(self.source) if self.source else {}
        lists = (value for value in named.values() if isinstance(value, list))
        if rule not in named and not any(rule in value for value in lists):
            return ""
        place = _place(self.source, rule, key) if key else _place(self.source, rule)
        return f"{place or self.source}: "


def _existing(path: str) -> str:
    if not os.path.exists(path):
        raise TargetError(f"{path}: there is no such file or folder: give the path of a Python project")
    return os.path.realpath(path)


def _root_of(folder: str) -> str:
    above = _upwards(folder, git_top_level(folder))
    return next((place for place in above if _is_project(place) or _has_journal(place)), folder)


def journal_root(root: str) -> str:
    """Return the nearest tree around *root*, in its repository, that holds a rewrite; *root* itself if none does."""
    repository = git_top_level(root)
    above = _upwards(root, repository) if repository else [root]
    return next((place for place in above if _has_journal(place)), root)


def _around(roots: Sequence[str]) -> str:
    """Return the root of the tree that holds all of *roots*.

    Raises:
        TargetError: Their common folder is not a project, such as a home folder. A journal there would make it the root
            of every tree below.
    """
    root = _root_of(os.path.commonpath(roots))
    if _is_project(root) or _has_journal(root):
        return root
    if any(map(_is_project, roots)) or root == os.path.dirname(root):
        raise TargetError(
            f"{' and '.join(roots[:2])} have no project in common: give the paths of one project"
        )
    return root


def _has_journal(place: str) -> bool:
    return os.path.isdir(f"{place}/{MIGRATE_FOLDER}/journal")


def _is_project(place: str) -> bool:
    return any(os.path.lexists(f"{place}/{marker}") for marker in _MARKERS)


def _upwards(folder: str, limit: str | None) -> list[str]:
    places = [folder]
    while places[-1] != limit and (above := os.path.dirname(places[-1])) != places[-1]:
        places.append(above)
    return places


def _table(path: str) -> dict[str, Any]:
    try:
        data = read_file(path, follow_link=True)
    except OSError:
        return {}
    if data is None or b"tool.capa" not in data:
        return {}
    if len(data) > LARGEST_BYTES:
        raise OptionsError(
            f"{path}: {len(data) // 1024 // 1024} MB is too large for settings: make it smaller and run again"
        )
    import tomllib

    try:
        table = tomllib.loads(data.decode()).get("tool", {}).get("capa", {}).get("migrate", {})
    except (ValueError, RecursionError) as error:
        raise OptionsError(f"{path}: not TOML: {error}: fix it and run again") from error
    if not isinstance(table, dict):
        raise OptionsError(
            f"{_place(path) or path}: [tool.capa.migrate] must be a table: make it one and run again"
        )
    return table


def _place(path: str, *words: str) -> str:
    """Return *path* and the line of `[tool.capa.migrate]` where *words* follow one another; empty if they do not.

    Only messages need it: the TOML parser gives no lines.
    """
    text = (read_file(path, follow_link=True) or b"").decode()
    at = 0
    for word in ("tool.capa", "migrate", *words):
        found = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])").search(text, at)
        if found is None:
            return ""
        at = found.start()
    line = text.count("\n", 0, at) + 1
    return f"{path}:{line}"


def _refuse_patterns(path: str, root: str, excluded: Sequence[str]) -> None:
    for name in excluded:
        if set("*?[") & set(name) and not os.path.lexists(f"{root}/{name.strip('/')}"):
            raise OptionsError(
                f"{_place(path, name) or path}: [tool.capa.migrate] exclude accepts folders and files, and `{name}` "
                f"is a pattern: name the folder, or each file"
            )


def _listed(path: str, key: str, value: object) -> tuple[str, ...]:
    if key not in _TABLE_KEYS:
        import difflib

        near = difflib.get_close_matches(key, _TABLE_KEYS, 1)
        hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(_TABLE_KEYS)}"
        place = _place(path, key) or path
        raise OptionsError(f"{place}: [tool.capa.migrate] has an unknown key `{key}`: {hint}")
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        place = _place(path, key) or path
        raise OptionsError(f"{place}: [tool.capa.migrate] {key} must be a list of strings, not {value!r}")
    return tuple(value)
