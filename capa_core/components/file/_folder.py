"""Which file of a configuration folder serves a scope, what it holds, and how it is replaced."""

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
"""Two writes closer together than this may leave the same time of change, so a younger file is read again."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file as it is now; `signature` changes with every write that is not lost in the clock's granularity."""

    path: Path
    suffix: str
    signature: tuple[int, int, int]
    changed_s: float


@dataclass(frozen=True, slots=True)
class Held:
    """What a file held when it was read."""

    found: Found
    data: bytes
    version: str
    settled: bool


class Folder:
    """The files under one folder. Safe for many threads: what is remembered is replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: dict[Path, Held] = {}
        self._places: dict[Scope, tuple[tuple[Path, str], ...]] = {}

    def serving(self, scope: Scope) -> Held | None:
        """Return the file that serves *scope*, read anew only if it may have changed; `None` if there is none."""
        for candidate in scope.candidates():
            found = self.find(candidate)
            if found is not None:
                with suppress(FileNotFoundError):  # it went away between the look and the reading
                    return self.read(found)
        return None

    def find(self, scope: Scope) -> Found | None:
        """Return the file of exactly this scope, or `None`."""
        for path, suffix in self._paths(scope):
            try:
                stat = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            if S_ISREG(stat.st_mode):
                signature = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
                return Found(path, suffix, signature, stat.st_mtime)
        return None

    def read(self, found: Found) -> Held:
        """Return what the file holds, from memory if it cannot have changed since it was read."""
        held = self._held.get(found.path)
        if held is not None and held.settled and held.found.signature == found.signature:
            return held
        settled = not 0 <= time.time() - found.changed_s < GRANULARITY_S
        data = found.path.read_bytes()
        digest = hashlib.blake2b(data, digest_size=8, person=b"capa", salt=_salt(found.path)).hexdigest()
        self._held[found.path] = held = Held(found, data, digest, settled)
        return held

    def scopes(self) -> Iterator[Scope]:
        """Yield the scope of each file, once: `<label>/<group>`, `<application>/<label>/<group>`.

        Two files of one group and different formats are one scope, which the first of the formats serves.
        """
        seen: set[Scope] = set()
        for pattern in ("*", "*/*", "*/*/*"):
            for path in sorted(self.path.glob(pattern)):
                *folders, name = path.relative_to(self.path).parts
                if any(part.startswith(".") for part in (*folders, name)) or not path.is_file():
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
        """Return where a new file for *scope* goes, and its suffix; *suffix* if the group has none."""
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


def text_of(held: Held) -> str:
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


def replace_file(path: Path, text: str) -> None:
    """Put *text* in the place of *path*, or make it: readers see the old or the new, also after a power cut.

    A symbolic link stays one; the file that it points to is replaced.
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
    """Keep other processes that save out of *folder*, which is made if need be, until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    if (
        sys.platform == "win32"
    ):  # no lock on folders there: two processes that save at once may undo each other
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _sync(folder: Path) -> None:
    with suppress(OSError):  # not every file system lets a folder be synced, and none needs it to be atomic
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _salt(path: Path) -> bytes:
    # The same text served from another file is another version: labels and fallbacks may differ in meaning.
    return hashlib.blake2b(os.fsencode(path.name), digest_size=16).digest()
