"""The cache of settled files: a run with nothing to do costs one `stat` for each file.

The cache is a text: a header that names the rule set and the files that the rule set was made from, a line for each
clean file (its stamp and its path), and a line for each file that stays as it is and has findings. Findings may depend
on which other files there are, so those lines hold for one list of files only. The names of files that no rule reads
follow, and at the end the stamps of all folders, if a run has found that nothing had changed: as long as they hold too,
the next one need not list the tree. The cache is data: a hostile one can hide a file, and run nothing.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType

from capa_codemods.api import read_file, write_private

_FORMAT = "capa-settled-files 3"
UNREADABLE = "0 0 0 0"
"""The stamp of a file that exists and has no readable `stat`: reading it gives the reason."""

Totals = tuple[int, Mapping[str, int]]
"""Number of files that a rule reads, and for each reason that of files that were not looked at."""

_FRESH_NS = 2_000_000_000  # a file written this shortly ago can change again without a new time stamp


def stamp(path: str) -> str | None:
    """Return a text that changes whenever the file at *path* is written or replaced; None if there is no file."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return UNREADABLE
    return stamp_of(found)


def stamp_of(found: os.stat_result) -> str:
    """Return the stamp of a file with the `stat` result *found*."""
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ino} {found.st_ctime_ns}"


class SettledFiles:
    """The files of one tree that need not be read again, with their findings, as of the last runs.

    Attributes:
        suffixes: Endings of the names that the rules read; empty if the cache is.
        totals: The totals of the last run, if `save_tree` has kept them.
    """

    def __init__(self, path: str, options: str, text: str = "") -> None:
        """Read the cache from *text*, if it is one for these *options*. Callers use `open`."""
        self.path = path
        self._options = options
        self._fresh_from_ns = time.time_ns() - _FRESH_NS
        self._text = text
        self._outcomes: dict[str, str] = {}
        head, _, body = text.partition("\n\n")
        first, suffixes, listing, *guards = [*head.split("\n"), "", ""]
        self._is_valid = first == f"{_FORMAT} {options}" and all(map(_still_holds, guards[:-2]))
        self.suffixes = tuple(suffixes.split()) if self._is_valid else ()
        self._listing = listing if self._is_valid else ""
        parts = body.split("\n\n") if self._is_valid else [""] * 6
        self._clean_lines, outcomes, self._unread, self._plain, self._passed, tree = parts
        self.totals, self._folders = _read_tree(tree)
        self._known = dict(_pairs(outcomes))
        self._clean_now: set[str] = set()

    @classmethod
    def open(cls, path: str, options: str) -> SettledFiles:
        """Return the cache at *path* for these *options*; an empty one if a guard has changed."""
        try:
            text = (read_file(path) or b"").decode(errors="surrogateescape")
        except OSError:
            text = ""
        try:
            return cls(path, options, text)
        except ValueError:  # damaged: begin again
            return cls(path, options)

    @cached_property
    def unread(self) -> frozenset[str]:
        """Files with such an ending that no rule reads, by their whole names."""
        return frozenset(self._unread.split("\n"))

    @cached_property
    def plain(self) -> frozenset[str]:
        """Files without a suffix that are no scripts, as long as they are clean."""
        return frozenset(self._plain.split("\n"))

    @cached_property
    def passed_over(self) -> dict[str, str]:
        """Clean file → the reason why it is not looked at further."""
        return {path: reason for reason, path in _pairs(self._passed)}

    @cached_property
    def _clean(self) -> frozenset[str]:
        return frozenset(self._clean_lines.split("\n"))

    def is_unchanged(self, root: str) -> bool:
        """Return whether no file or folder of the tree at *root* has changed since `save_tree`."""
        parts = (self._folders, self._known, filter(None, self._clean_lines.split("\n")))
        return bool(self._folders) and all(_all_hold(root, lines) for lines in parts)

    def outcomes(self) -> Iterator[tuple[str, str]]:
        """Yield the path and the outcome of each file that has one."""
        return ((line.split(" ", 4)[4], text) for line, text in self._known.items())

    def not_clean(self, root: str, paths: Iterable[str]) -> dict[str, str]:
        """Return the stamps of the *paths*, relative to *root*, that exist and are not known to be clean."""
        fresh: dict[str, str] = {}
        clean = self._clean
        for path in paths:
            found = stamp(f"{root}/{path}")
            if found is not None:
                line = f"{found} {path}"
                if line in clean:
                    self._clean_now.add(line)
                else:
                    fresh[path] = found
        return fresh

    def reopened(self, root: str, paths: Iterable[str]) -> dict[str, str]:
        """Return the stamps of the *paths*, relative to *root*, that exist, and no longer take any for clean."""
        found = {path: one for path in paths if (one := stamp(f"{root}/{path}")) is not None}
        self._clean_now.difference_update(f"{one} {path}" for path, one in found.items())
        return found

    def outcome_of(self, relative: str, found: str, listing: str) -> str | None:
        """Return the cached outcome of the file with the stamp *found* among the files *listing*, or None."""
        line = f"{found} {relative}"
        outcome = self._known.get(line) if listing == self._listing else None
        if outcome is not None:
            self._outcomes[line] = outcome
        return outcome

    def forget_outcomes(self) -> None:
        """Drop all outcomes: something that they may depend on has changed."""
        self._known.clear()
        self._outcomes.clear()

    def forget_outcome(self, relative: str, found: str) -> None:
        """Drop the outcome of the file with the stamp *found*: another file that it depends on may have changed."""
        self._outcomes.pop(f"{found} {relative}", None)

    def add(self, relative: str, found: str, outcome: str = "") -> None:
        """Cache the *outcome*, `""` if clean, of a file with the stamp *found*, unless that is too fresh to trust."""
        if "\n" in relative or "\t" in relative or self._is_fresh(found):
            return
        if outcome:
            self._outcomes[f"{found} {relative}"] = outcome
        else:
            self._clean_now.add(f"{found} {relative}")

    def save(
        self,
        guards: Iterable[str],
        suffixes: Sequence[str],
        listing: str,
        *,
        unread: Iterable[str] = (),
        plain: Iterable[str] = (),
        passed_over: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Write the cache of this run; a tree that cannot be written to has none."""
        head = [f"{_FORMAT} {self._options}", " ".join(suffixes), listing, *guards]
        passed = (f"{reason}\t{path}" for path, reason in passed_over.items() if "\n" not in path)
        self._write(head, *map(sorted, (self._clean_now, self._outcome_lines(), unread, plain, passed)), ())

    def save_tree(self, root: str, folders: Iterable[str], totals: Totals) -> None:
        """Write the cache again as it was read, less what this run did not confirm, for a tree of these *folders*.

        Not if one of them has changed so shortly ago that it may change again without a new time stamp.
        """
        stamps = {folder: stamp(f"{root}/{folder}") or UNREADABLE for folder in folders}
        if any("\n" in folder or self._is_fresh(found) for folder, found in stamps.items()):
            return
        seen, numbers = totals
        first = " ".join([str(seen), *(f"{reason}={number}" for reason, number in numbers.items())])
        lines = [first, *(f"{found} {folder}" for folder, found in stamps.items())]
        head = self._text.partition("\n\n")[0]
        kept = (self._unread, self._plain, self._passed)
        self._write(
            [head], sorted(self._clean_now), sorted(self._outcome_lines()), *([one] for one in kept), lines
        )

    def _outcome_lines(self) -> list[str]:
        return [f"{line}\t{text}" for line, text in self._outcomes.items()]

    def _is_fresh(self, found: str) -> bool:
        return int(found.split(" ", 2)[1]) >= self._fresh_from_ns

    def _write(self, *parts: Iterable[str]) -> None:
        text = "\n\n".join("\n".join(part) for part in parts)
        if text == self._text:
            return
        with contextlib.suppress(OSError):  # a tree that cannot be written to has none
            write_private(self.path, text.encode(errors="surrogateescape"))


def _read_tree(text: str) -> tuple[Totals, list[str]]:
    """Return the totals and the lines of the folders in the last part of a cache; ValueError if it is damaged."""
    first, *folders = text.split("\n")
    seen, *numbers = first.split(" ") if folders else ["0"]
    named = (one.split("=") for one in numbers)
    return (int(seen), {reason: int(number) for reason, number in named}), folders


def _all_hold(root: str, lines: Iterable[str]) -> bool:
    """Return whether each of *lines*, a stamp and a path, is as it would be now."""
    for line in lines:
        try:
            one = os.lstat(f"{root}/{line.split(' ', 4)[4]}")
        except (OSError, ValueError, IndexError):
            return False
        # As `stamp_of` has it: a call for each file of a tree would take as long again.
        if not line.startswith(f"{one.st_size} {one.st_mtime_ns} {one.st_ino} {one.st_ctime_ns} "):
            return False
    return True


def _pairs(lines: str) -> Iterator[list[str]]:
    return (line.split("\t", 1) for line in lines.split("\n") if line)


def listing_of(paths: Sequence[str]) -> str:
    """Return a short text that is the same for the same *paths*."""
    import zlib

    return str(zlib.crc32("\n".join(paths).encode(errors="surrogateescape")))


def guard_of(path: str) -> str:
    """Return the line that records the present state of *path*."""
    return f"{stamp(path)} {path}"


def guarded_files(root: str, sources: Iterable[str]) -> Iterator[str]:
    """Yield the files and folders whose change may change the outcomes in the tree at *root*; *sources* are some."""
    from capa_codemods.api import source_files

    yield f"{root}/pyproject.toml"
    yield f"{root}/capa.toml"
    yield from sources
    # Installing or removing an adapter, or a package with rules, changes its folder.
    yield from (folder for folder in sys.path if folder.endswith(("site-packages", "dist-packages")))
    yield from source_files()


def _still_holds(guard: str) -> bool:
    path = guard[5:] if guard.startswith("None ") else guard.split(" ", 4)[-1]
    return guard == guard_of(path)
