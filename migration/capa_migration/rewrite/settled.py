"""Remember what was said of which file, so that a run with nothing to do costs a look at each file's stamp.

The cache is a text: a header that names the rule set and the files that the rule set was made from, a line for each
clean file (its stamp and its path), and a line for each file that stays as it is with something said about it. What is
said may depend on which other files there are, so those lines hold for one list of files only. It is data: a
hostile cache can hide a file, and run nothing.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Sequence

from capa_codemods.api import read_file

_FORMAT = "capa-settled-files 1"
OUT_OF_REACH = "0 0 0 0"
"""The stamp of a file that is there and that nothing can be learned of: whoever reads it learns why."""

_UNSETTLED_NS = 2_000_000_000  # a file written this shortly ago can change again without a new time stamp


def stamp(path: str) -> str | None:
    """Return what changes whenever the file at *path* is written or replaced; None if there is none."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        return OUT_OF_REACH
    return stamp_of(found)


def stamp_of(found: os.stat_result) -> str:
    """Return the stamp of a file of which the system says *found*."""
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ino} {found.st_ctime_ns}"


class Settled:
    """The files of one tree that need no second look, as the last runs left them.

    Attributes:
        suffixes: Endings of the names that the rules look at; empty if nothing is remembered.
        unread: Files with such an ending that no rule reads, by their whole names.
    """

    def __init__(self, path: str, options: str, text: str = "") -> None:
        """Hold what *text* remembers for these *options*; `open` is the way to make one."""
        self.path = path
        self._options = options
        self._unsettled_from_ns = time.time_ns() - _UNSETTLED_NS
        self._text = text
        self._said: dict[str, str] = {}
        head, _, body = text.partition("\n\n")
        first, suffixes, listing, *guards = [*head.split("\n"), "", ""]
        self._is_valid = first == f"{_FORMAT} {options}" and all(map(_still_holds, guards[:-2]))
        self.suffixes = tuple(suffixes.split()) if self._is_valid else ()
        self._listing = listing if self._is_valid else ""
        clean, said, unread = body.split("\n\n") if self._is_valid else ["", "", ""]
        self.unread = frozenset(unread.split("\n"))
        self._clean = frozenset(clean.split("\n"))
        self._known = dict(line.split("\t", 1) for line in said.split("\n") if line)
        self._seen: set[str] = set()

    @classmethod
    def open(cls, path: str, options: str) -> Settled:
        """Return what the file at *path* remembers for this choice of *options*; nothing if any guard has changed."""
        try:
            text = (read_file(path) or b"").decode(errors="surrogateescape")
        except OSError:
            text = ""
        try:
            return cls(path, options, text)
        except ValueError:  # not what was written: begin again
            return cls(path, options)

    def not_clean(self, root: str, paths: Iterable[str]) -> dict[str, str]:
        """Return those of *paths*, relative to *root*, that are there and not known to be clean, with their stamps."""
        fresh: dict[str, str] = {}
        for path in paths:
            found = stamp(f"{root}/{path}")
            if found is not None:
                line = f"{found} {path}"
                if line in self._clean:
                    self._seen.add(line)
                else:
                    fresh[path] = found
        return fresh

    def said_of(self, relative: str, found: str, listing: str) -> str | None:
        """Return what was said of the file with the stamp *found* among the files *listing*; None if not known."""
        line = f"{found} {relative}"
        said = self._known.get(line) if listing == self._listing else None
        if said is not None:
            self._said[line] = said
        return said

    def forget_said(self) -> None:
        """Hold nothing of what was said: something that it may depend on has changed."""
        self._known.clear()
        self._said.clear()

    def add(self, relative: str, found: str, said: str = "") -> None:
        """Remember what was *said* of a file with the stamp *found*, unless the stamp is too fresh to trust."""
        if "\n" in relative or "\t" in relative or int(found.split(" ", 2)[1]) >= self._unsettled_from_ns:
            return
        if said:
            self._said[f"{found} {relative}"] = said
        else:
            self._seen.add(f"{found} {relative}")

    def save(
        self, guards: Iterable[str], suffixes: Sequence[str], listing: str, unread: Iterable[str]
    ) -> None:
        """Write what this run has seen; a tree that cannot be written to has no cache."""
        head = [f"{_FORMAT} {self._options}", " ".join(suffixes), listing, *guards]
        said = [f"{line}\t{text}" for line, text in sorted(self._said.items())]
        text = "\n\n".join("\n".join(part) for part in (head, sorted(self._seen), said, sorted(unread)))
        if text == self._text:
            return
        temporary = f"{self.path}.{os.getpid()}.tmp"
        with contextlib.suppress(OSError):
            # Made anew: a link planted under this name must not lead elsewhere.
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
    """Return the line that stands for *path* as it is now."""
    return f"{stamp(path)} {path}"


def _still_holds(guard: str) -> bool:
    path = guard[5:] if guard.startswith("None ") else guard.split(" ", 4)[-1]
    return guard == guard_of(path)
