"""The target of a run: the tree around the user's paths, and the options in its pyproject.toml."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from capa_codemods.api import (
    LARGEST_BYTES,
    did_you_mean,
    git_top_level,
    has_journal,
    is_git_ignored,
    read_file,
)
from capa_migration.errors import OptionsError, TargetError

if TYPE_CHECKING:
    from capa_codemods.api import Names

_MARKERS = (".git", "pyproject.toml", "setup.py", "setup.cfg")
_TABLE_KEYS = ("roots", "exclude", "only", "skip", "with", "sdk")


class Target:
    """One tree, or parts of it.

    Attributes:
        root: Absolute path of the tree; `.capa-migrate/` lies here.
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
        self.root = roots.pop() if len(roots) == 1 else _require_around(sorted(roots))
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
        sdks: Frequent names of modules that are an SDK here: `--sdk`, and `sdk` in pyproject.toml.
        source: The pyproject.toml that they have been filled from; empty before.
        pass_over: Whether a file may be named that no rule reads.
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
        sdks: tuple[str, ...] = (),
        source: str = "",
        pass_over: bool = False,
    ) -> None:
        """Hold the options as the command line gives them."""
        self.only = only
        self.skip = skip
        self.exclude = exclude
        self.roots = roots
        self.asked = asked
        self.settings = settings or {}
        self.sdks = sdks
        self.source = source
        self.pass_over = pass_over

    def key(self) -> str:
        """Return a text that is the same for the same options."""
        parts = (self.only, self.skip, self.exclude, self.roots, self.asked, self.sdks)
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
        sdks = (*self.sdks, *listed.get("sdk", ()))
        return Options(
            *given, asked=asked, settings=settings, sdks=sdks, source=path, pass_over=self.pass_over
        )

    def absent_excludes(self, root: str) -> list[tuple[str, int]]:
        """Return each path that is left out and that is not there, with the line in pyproject.toml that names it."""
        absent = [name for name in self.exclude if not os.path.lexists(f"{root}/{name.strip('/')}")]
        places = [_place(self.source, "exclude", name) for name in absent]
        lines = [int(place.rpartition(":")[2]) if place else 0 for place in places]
        return list(zip(absent, lines, strict=True))

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


def require_known(sdks: Sequence[str], names: Names) -> None:
    """Check that each of *sdks* is a frequent name that some import map claims.

    Raises:
        OptionsError: One is not.
    """
    frequent = [root for root, owner in names.roots.items() if owner.evidence == "manifest"]
    for name in sdks:
        if name not in frequent:
            raise OptionsError(
                f"--sdk {name}: no SDK is imported by that name: choose from {', '.join(frequent)}"
            )


def _existing(path: str) -> str:
    if not os.path.exists(path):
        raise TargetError(f"{path}: the file or folder does not exist: give the path of a Python project")
    return os.path.realpath(path)


def _root_of(folder: str) -> str:
    above = _upwards(folder, git_top_level(folder))
    return next((place for place in above if _is_project(place) or has_journal(place)), folder)


def journal_root(root: str) -> str:
    """Return the nearest tree around *root*, in its repository, that holds a rewrite; *root* itself if none does."""
    repository = git_top_level(root)
    above = _upwards(root, repository) if repository else [root]
    return next((place for place in above if has_journal(place)), root)


def by_project(paths: Sequence[str]) -> list[list[str]]:
    """Return *paths* in groups, each of which is in one tree, in their order. What is named twice is in one of them.

    Raises:
        TargetError: There is nothing at one of *paths*.
    """
    places: dict[str, str] = {}
    for path in paths:
        places.setdefault(_existing(path), path)
    roots = {place: Target(place).root for place in places}
    if len({*roots.values()}) == 1 or _around(sorted({*roots.values()})) is not None:
        return [list(places.values())]
    groups: dict[str, list[str]] = {}
    for place, path in places.items():
        if not _is_read(place, places):
            groups.setdefault(roots[place], []).append(path)
    return list(groups.values())


def _is_read(place: str, others: Iterable[str]) -> bool:
    """Return whether *place* is read with one of *others*: it is inside, and listed by its git, if it has one."""
    repository = git_top_level(place if os.path.isdir(place) else os.path.dirname(place))
    return any(
        place.startswith(f"{other}/")
        and git_top_level(other) in {None, repository}
        and not is_git_ignored(other, place)
        for other in others
    )


def _require_around(roots: Sequence[str]) -> str:
    """Return the root of the tree that holds all of *roots*.

    Raises:
        TargetError: There is none.
    """
    root = _around(roots)
    if root is None:
        raise TargetError(
            f"{' and '.join(roots[:2])} have no project in common: give the paths of one project"
        )
    return root


def _around(roots: Sequence[str]) -> str | None:
    """Return the root of the tree that holds all of *roots*; None if that is not a project, such as a home folder.

    A journal there would make it the root of every tree below.
    """
    root = _root_of(os.path.commonpath(roots))
    if _is_project(root) or has_journal(root):
        return root
    return None if any(map(_is_project, roots)) or root == os.path.dirname(root) else root


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
        capa = tomllib.loads(data.decode()).get("tool", {}).get("capa", {})
    except (ValueError, RecursionError) as error:
        raise OptionsError(f"{path}: not TOML: {error}: fix it and run again") from error
    for key in capa if isinstance(capa, dict) else ["capa"]:
        if key != "migrate":
            place = _line_of(path, "tool.capa", key) or path
            hint = did_you_mean(key, ["migrate"], "known is migrate")
            raise OptionsError(f"{place}: [tool.capa] has an unknown key `{key}`: {hint}")
    table = capa.get("migrate", {})
    if not isinstance(table, dict):
        raise OptionsError(
            f"{_place(path) or path}: [tool.capa.migrate] must be a table: make it one and run again"
        )
    return table


def _place(path: str, *words: str) -> str:
    """Return *path* and the line of `[tool.capa.migrate]` where *words* follow one another; empty if they do not."""
    return _line_of(path, "tool.capa", "migrate", *words)


def _line_of(path: str, *words: str) -> str:
    """Return *path* and the line where *words* follow one another; empty if they do not.

    Only messages need it: the TOML parser gives no lines.
    """
    text = (read_file(path, follow_link=True) or b"").decode()
    at = 0
    for word in words:
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
        hint = did_you_mean(key, _TABLE_KEYS, f"known are {', '.join(_TABLE_KEYS)}")
        place = _place(path, key) or path
        raise OptionsError(f"{place}: [tool.capa.migrate] has an unknown key `{key}`: {hint}")
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        place = _place(path, key) or path
        raise OptionsError(f"{place}: [tool.capa.migrate] {key} must be a list of strings, not {value!r}")
    return tuple(value)
