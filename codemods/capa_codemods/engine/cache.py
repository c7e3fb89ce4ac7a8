"""Remember which files were clean, so that a run with nothing to do costs a look at each file's stamp.

The cache is a text of one line for each clean file (its stamp and its path) under a header that names the rule set
and the files that the rule set was made from. It is data only: a hostile cache can hide a file, and run nothing.
Only files in which a rule found nothing at all are remembered, so a file that depends on its surroundings (it was
left alone because of a manifest, say) is looked at each time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence

_FORMAT = "capa-clean-files 1"
_UNSETTLED_NS = 2_000_000_000  # a file written this shortly ago can change again without a new time stamp


def stamp(path: str) -> str | None:
    """Return what changes whenever the file at *path* is written or replaced; None if there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ino} {found.st_ctime_ns}"


class CleanFiles:
    """The clean files of one tree, as the last runs left them.

    Attributes:
        suffixes: Endings of the names that the rules look at; empty if nothing is remembered.
    """

    def __init__(
        self,
        path: str,
        options: str,
        guards: Sequence[str] = (),
        body: Iterable[str] = (),
        suffixes: str = "",
    ) -> None:
        """Hold the lines of *body*, to be kept at *path*; `open` is the way to make one."""
        self.path = path
        self.suffixes = tuple(suffixes.split())
        self._guards = list(guards)
        self._options = options
        self._lines = frozenset(body)
        self._seen: set[str] = set()

    @classmethod
    def open(cls, path: str, options: str) -> CleanFiles:
        """Return what *path* remembers for this choice of *options*; nothing if any guard has changed."""
        try:
            with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
                head, _, body = file.read().partition("\n\n")
        except OSError:
            return cls(path, options)
        first, suffixes, *guards = [*head.split("\n"), ""]
        if first != f"{_FORMAT} {options}" or not all(
            guard == guard_of(_path_of(guard)) for guard in guards[:-1]
        ):
            return cls(path, options)
        return cls(path, options, guards[:-1], body.split("\n"), suffixes)

    def is_clean(self, relative: str, found: str) -> bool:
        """Say whether the file was clean with the stamp *found*, and remember it for the next run."""
        line = f"{found} {relative}"
        if line in self._lines:
            self._seen.add(line)
            return True
        return False

    def add(self, relative: str, found: str) -> None:
        """Remember that a file with the stamp *found* is clean, unless it is too fresh to trust its stamp."""
        if "\n" not in relative and time.time_ns() - int(found.split(" ")[1]) > _UNSETTLED_NS:
            self._seen.add(f"{found} {relative}")

    def save(self, guards: Iterable[str], suffixes: Iterable[str]) -> None:
        """Write what this run has seen clean; a tree that cannot be written to has no cache."""
        guards = list(guards)
        if self._seen == self._lines and guards == self._guards:
            return
        head = [f"{_FORMAT} {self._options}", " ".join(suffixes), *guards]
        temporary = f"{self.path}.{os.getpid()}.tmp"
        try:
            with open(temporary, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
                file.write("\n".join(head) + "\n\n" + "\n".join(sorted(self._seen)))
            os.replace(temporary, self.path)
        except OSError:
            return


def guard_of(path: str) -> str:
    """Return the line that stands for *path* as it is now."""
    return f"{stamp(path)} {path}"


def _path_of(guard: str) -> str:
    return guard.split(" ", 4)[-1] if not guard.startswith("None ") else guard[5:]
