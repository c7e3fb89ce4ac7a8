"""A configuration folder: find the file of a scope, read it, and replace it atomically."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE, S_ISREG

from capa_core.blocks.configuration import formats
from capa_core.blocks.configuration.driver import Scope
from capa_core.errors import InvalidArgumentError, SettingsError

if sys.platform != "win32":
    import fcntl

GRANULARITY_S = 0.05
"""Two writes within this time may have the same modification time, so a younger file is read again."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file found now; `signature` changes with every write, within the granularity of the clock."""

    path: Path
    suffix: str
    signature: tuple[int, int, int]
    changed_s: float
    is_regular: bool = True


@dataclass(frozen=True, slots=True)
class LoadedFile:
    """The content of a file when it was read."""

    found: FoundFile
    data: bytes
    version: str
    settled: bool


class Folder:
    """The files under one folder. Safe for many threads: cache entries are replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: dict[Path, LoadedFile] = {}
        self._places: dict[Scope, tuple[tuple[Path, str], ...]] = {}

    def serving(self, scope: Scope) -> LoadedFile | None:
        """Return the file that serves *scope*, read again only if it may have changed; `None` if there is none."""
        for candidate in scope.candidates():
            found = self.find(candidate)
            if found is not None:
                with suppress(FileNotFoundError):  # it was removed after it was found
                    return self.read(found)
        return None

    def find(self, scope: Scope) -> FoundFile | None:
        """Return the file of exactly this scope; `None` if there is none."""
        for path, suffix in self._paths(scope):
            try:
                stat = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            is_regular = S_ISREG(stat.st_mode)
            if is_regular or suffix:  # without one it may be the folder of a label
                signature = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
                return FoundFile(path, suffix, signature, stat.st_mtime, is_regular)
        return None

    def read(self, found: FoundFile) -> LoadedFile:
        """Return the content of the file, from the cache if it cannot have changed since it was read.

        Raises:
            SettingsError: It is a folder, or something else without content.
        """
        if not found.is_regular:
            raise SettingsError(
                f"{found.path}: not a file, so it has no values. Move it away, or put the file there."
            )
        held = self._held.get(found.path)
        if held is not None and held.settled and held.found.signature == found.signature:
            return held
        settled = not 0 <= time.time() - found.changed_s < GRANULARITY_S
        data = found.path.read_bytes()
        digest = hashlib.blake2b(data, digest_size=8, person=b"capa", salt=_salt(found.path)).hexdigest()
        self._held[found.path] = held = LoadedFile(found, data, digest, settled)
        return held

    def scopes(self) -> Iterator[Scope]:
        """Yield the scope of each file, once: `<label>/<group>`, `<application>/<label>/<group>`.

        Two files of one group and different formats are one scope, which the first of the formats serves.
        """
        seen: set[Scope] = set()
        for pattern in ("*", "*/*", "*/*/*"):
            for path in sorted(self.path.glob(pattern)):
                *folders, name = path.relative_to(self.path).parts
                if any(part.startswith(".") for part in (*folders, name)) or not _is_taken(path):
                    continue
                application, label = ("", "", *folders)[-2:]
                stem, suffix = path.stem, path.suffix
                for group in dict.fromkeys((stem if suffix in formats.KEYED else name, name)):
                    scope = Scope(application, group, label)
                    found = self.find(scope)
                    if found is not None and found.path == path and scope not in seen:
                        seen.add(scope)
                        yield scope
                        break

    def place_for(self, scope: Scope, suffix: str) -> tuple[Path, str]:
        """Return the path of a new file for *scope*, and its suffix; *suffix* if the group has none."""
        of_group = formats.suffix_of(scope.group)
        return self._home(scope) / (scope.group if of_group else scope.group + suffix), of_group or suffix

    def _paths(self, scope: Scope) -> tuple[tuple[Path, str], ...]:
        places = self._places.get(scope)
        if places is None:
            home, suffix = self._home(scope), formats.suffix_of(scope.group)
            keyed = () if suffix else tuple((home / (scope.group + each), each) for each in formats.KEYED)
            self._places[scope] = places = (*keyed, (home / scope.group, suffix))
        return places

    def _home(self, scope: Scope) -> Path:
        for part in (scope.application, scope.group, scope.label):
            if part in (".", "..") or "/" in part or "\\" in part:
                raise InvalidArgumentError(
                    f"{part!r} cannot be a file name: use no '/', no '\\', not '.' or '..'"
                )
        return self.path.joinpath(*filter(None, (scope.application, scope.label)))


def text_of(held: LoadedFile) -> str:
    """Return the text of a file: UTF-8; a `.properties` file that is not UTF-8 is ISO 8859-1, as in Java before 9.

    Raises:
        SettingsError: It is neither.
    """
    try:
        return held.data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if held.found.suffix == ".properties":
            return held.data.decode("iso-8859-1")
        line = held.data.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{held.found.path}:{line}: not UTF-8. Save the file as UTF-8.") from error


def _is_taken(path: Path) -> bool:
    """Return whether *path* is a file, or something else in the place of one."""
    return path.is_file() or path.suffix in formats.KEYED


def replace_file(path: Path, text: str) -> None:
    """Replace or create *path* with *text*: readers see the old or the new content, also after a power cut.

    A symbolic link is kept; the file that it points to is replaced.
    """
    target = Path(os.path.realpath(path))
    mode = S_IMODE(target.stat().st_mode) if target.exists() else 0o644
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:50]}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync(target.parent)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Exclude other processes that save from *folder*, creating it if necessary, until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    if (
        sys.platform == "win32"
    ):  # folders cannot be locked there: two processes that save at once may overwrite each other's change
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _sync(folder: Path) -> None:
    with suppress(OSError):  # some file systems cannot sync a folder, and atomicity does not depend on it
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _salt(path: Path) -> bytes:
    # The same text from a different file is a different version: labels and fallbacks may differ in meaning.
    return hashlib.blake2b(os.fsencode(path.name), digest_size=16).digest()
