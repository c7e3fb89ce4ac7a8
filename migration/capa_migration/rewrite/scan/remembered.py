"""The cache of a scan: a tree that has not changed since costs one `stat` for each file.

The results of a file depend on the modules that it imports from, on manifests, and on which files there are. So they
hold only while no file that a scan reads has changed.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping

from capa_codemods.api import (
    MIGRATE_FOLDER,
    CommandFile,
    JournalError,
    __version__,
    import_map_paths,
    is_manifest,
    make_migrate_folder,
    may_be_script,
)
from capa_migration.rewrite.scan.results import FileResult
from capa_migration.rewrite.scan.texts import SUFFIXES, claims
from capa_migration.rewrite.settled import SettledFiles, guard_of, guarded_files, listing_of
from capa_migration.rewrite.target import Options


class Remembered:
    """The results of the last scan of one tree."""

    def __init__(self, root: str, options: Options, listed: list[str]) -> None:
        """Open the cache of the tree at *root*, which holds the files *listed*."""
        version = f"{__version__} {sys.version_info.major}.{sys.version_info.minor}"
        key = f"{version} {','.join(options.exclude)};{','.join(options.roots)};{','.join(options.sdks)}"
        place = f"{root}/{MIGRATE_FOLDER}/scanned"
        self._root = root
        self._listing = listing_of(listed)
        self._read = [path for path in listed if is_read(path) or may_be_script(path)]
        self._last = SettledFiles.open(place, key)
        self._next = SettledFiles(place, key)
        self._stamps: dict[str, str] = {}

    def results(self) -> dict[str, FileResult] | None:
        """Return the results of all files that have some; None if a file has changed since they were saved."""
        found = self._last_results() if self._last.suffixes else None
        if found is None:
            # Before the files are read: they may be written to meanwhile.
            self._stamps = self._next.not_clean(self._root, self._read)
        return found

    def _last_results(self) -> dict[str, FileResult] | None:
        found = {}
        for path, stamp in self._last.not_clean(self._root, self._read).items():
            text = self._last.outcome_of(path, stamp, self._listing)
            try:
                found[path] = FileResult.from_text(text or "")
            except ValueError:
                return None
        return found

    def save(self, results: Mapping[str, FileResult]) -> None:
        """Keep *results*, of all files that have some, for the next scan; not where nothing was found.

        A tree that cannot be written to is scanned from the start each time.
        """
        if not results:
            return
        for path, stamp in self._stamps.items():
            self._next.add(path, stamp, results[path].text if path in results else "")
        with contextlib.suppress(OSError, JournalError):
            make_migrate_folder(self._root)
            self._next.save(map(guard_of, _guards(self._root)), SUFFIXES, self._listing)


def is_read(path: str) -> bool:
    """Return whether a scan reads a file of this name."""
    return claims(path) or CommandFile.claims(path) or is_manifest(path)


def _guards(root: str) -> Iterator[str]:
    """Yield the files whose change may change the results of a file that has not changed itself."""
    yield from guarded_files(root, import_map_paths())
    for folder, _, names in os.walk(os.path.dirname(__file__)):
        yield from (f"{folder}/{name}" for name in sorted(names) if name.endswith((".py", ".toml")))
