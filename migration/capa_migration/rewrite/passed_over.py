"""Files that a run does not look at: counted by reason, and a failure where the user has named them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from capa_codemods.api import list_files, without
from capa_migration.rewrite.target import Target

if TYPE_CHECKING:
    from capa_codemods.api import Outcome

REASONS = {
    "link": ("link", "links"),
    "special": ("pipe, socket or device", "pipes, sockets or devices"),
    "copy": ("file of a package called like an SDK", "files of packages called like an SDK"),
    "repository": ("nested repository", "nested repositories"),
    "excluded": ("excluded file", "excluded files"),
    "kind": ("file of another kind", "files of other kinds"),
}
"""Reason → its words for one file and for several; files of other kinds hold neither code nor requirements."""

_OTHER_KIND = "no rule reads a file of this name, and its first line does not name Python"
_NOT_LISTED = "git ignores it, or it is in a folder that is never read"


class Files(NamedTuple):
    """The files of a tree.

    Attributes:
        every: All of them, relative to the root.
        listed: Those that are not excluded.
        inside: Those of these that are in the parts that the user named.
        folders: The folders that were listed to find them; none if git listed them.
    """

    target: Target
    every: list[str]
    listed: list[str]
    inside: list[str]
    folders: list[str]

    @classmethod
    def of(cls, target: Target, excluded: Iterable[str]) -> Files:
        """List the files of the tree of *target*."""
        folders: list[str] = []
        every = list_files(target.root, folders=folders)
        listed = without(every, excluded)
        return cls(target, every, listed, target.within(listed), folders)

    def named_but_not(self, wanted: Collection[str]) -> list[str]:
        """Return the files that the user named and that are not *wanted*."""
        named = (path for path in self.target.scopes if path not in wanted)
        return [path for path in named if os.path.isfile(f"{self.target.root}/{path}")]

    def is_repository(self, folder: str) -> bool:
        """Return whether the listed *folder*, which ends with `/`, is a nested repository rather than out of reach."""
        return os.path.lexists(f"{self.target.root}/{folder}.git")


def counted(files: Files, wanted: Collection[str], found: Mapping[str, str]) -> dict[str, int]:
    """Return the number of files for each reason that there is, in the order of `REASONS`.

    Args:
        files: Those of the tree.
        wanted: Those inside that are read.
        found: Path → reason, of those of them whose place or content shows one.
    """
    folders = [path for path in files.inside if path.endswith("/")]
    numbers = Counter(found.values())
    numbers["repository"] = sum(map(files.is_repository, folders))
    numbers["excluded"] = len(files.target.within(files.every)) - len(files.inside)
    numbers["kind"] = len(files.inside) - len(folders) - len(wanted)
    return {reason: numbers[reason] for reason in REASONS if numbers[reason]}


def failures(files: Files, wanted: Collection[str]) -> list[Outcome]:
    """Return a failure for each file that the user named and that is not *wanted*, unless it is excluded."""
    from capa_codemods.api import Outcome

    step = "name Python files, notebooks, manifests, or files with commands"
    return [
        Outcome(path, "failed", reason=_OTHER_KIND if path in files.listed else _NOT_LISTED, next_step=step)
        for path in files.named_but_not(wanted)
        if path in files.listed or path not in files.every
    ]


def line_of(numbers: Mapping[str, int], *, notes: bool) -> str:
    """Return *numbers* in one line; empty if there are none but those of files of other kinds, and no *notes*."""
    shown = {reason: number for reason, number in numbers.items() if notes or reason != "kind"}
    parts = (f"{number:,} {REASONS[reason][number != 1]}" for reason, number in shown.items())
    return f"not looked at: {', '.join(parts)}" if shown else ""
