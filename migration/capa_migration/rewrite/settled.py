"""The cache of settled files: a run with nothing to do costs one `stat` for each file.

The cache is a text: a header that names the rule set and the files that the rule set was made from, a line for each
clean file (its stamp and its path), and a line for each file that stays as it is and has findings. Findings may depend
on which other files there are, so those lines hold for one list of files only. The cache is data: a hostile one can
hide a file, and run nothing.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Sequence

from capa_codemods.api import read_file

_FORMAT = "capa-settled-files 1"
UNREADABLE = "0 0 0 0"
"""The stamp of a file that exists and has no readable `stat`: reading it gives the reason."""

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
        unread: Files with such an ending that no rule reads, by their whole names.
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
        clean, outcomes, unread = body.split("\n\n") if self._is_valid else ["", "", ""]
        self.unread = frozenset(unread.split("\n"))
        self._clean = frozenset(clean.split("\n"))
        self._known = dict(line.split("\t", 1) for line in outcomes.split("\n") if line)
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

    def not_clean(self, root: str, paths: Iterable[str]) -> dict[str, str]:
        """Return the stamps of the *paths*, relative to *root*, that exist and are not known to be clean."""
        fresh: dict[str, str] = {}
        for path in paths:
            found = stamp(f"{root}/{path}")
            if found is not None:
                line = f"{found} {path}"
                if line in self._clean:
                    self._clean_now.add(line)
                else:
                    fresh[path] = found
        return fresh

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

    def add(self, relative: str, found: str, outcome: str = "") -> None:
        """Cache the *outcome*, `""` if clean, of a file with the stamp *found*, unless that is too fresh to trust."""
        if "\n" in relative or "\t" in relative or int(found.split(" ", 2)[1]) >= self._fresh_from_ns:
            return
        if outcome:
            self._outcomes[f"{found} {relative}"] = outcome
        else:
            self._clean_now.add(f"{found} {relative}")

    def save(
        self, guards: Iterable[str], suffixes: Sequence[str], listing: str, unread: Iterable[str]
    ) -> None:
        """Write the cache of this run; a tree that cannot be written to has none."""
        head = [f"{_FORMAT} {self._options}", " ".join(suffixes), listing, *guards]
        outcomes = [f"{line}\t{text}" for line, text in sorted(self._outcomes.items())]
        text = "\n\n".join(
            "\n".join(part) for part in (head, sorted(self._clean_now), outcomes, sorted(unread))
        )
        if text == self._text:
            return
        temporary = f"{self.path}.{os.getpid()}.tmp"
        with contextlib.suppress(OSError):
            # "x": a link planted under this name must not be followed.
            with open(temporary, "x", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
                file.write(text)
            os.replace(temporary, self.path)
            return
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def listing_of(paths: Sequence[str]) -> str:
    """Return a short text that is the same for the same *paths*."""
    import zlib

    return str(zlib.crc32("\n".join(paths).encode(errors="surrogateescape")))


def guard_of(path: str) -> str:
    """Return the line that records the present state of *path*."""
    return f"{stamp(path)} {path}"


def _still_holds(guard: str) -> bool:
    path = guard[5:] if guard.startswith("None ") else guard.split(" ", 4)[-1]
    return guard == guard_of(path)
