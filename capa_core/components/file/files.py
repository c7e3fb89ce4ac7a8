"""Files in a folder of this machine, shared by its processes; no server.

    uploads/reports/2026.csv                 the file `reports/2026.csv`
    uploads/reports/.capa-meta-2026.csv      its content type and metadata, if it has any
    uploads/.capa-tmp/                       files that are being written

Other programs may read the files, put new ones there, and copy the folder with its times (`cp -a`, `rsync -a`).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from capa_core.abilities import BY_CORE, NATIVE, How, Support, absent
from capa_core.blocks.files.driver import (
    FileInfo,
    FilePage,
    FilePut,
    FilesDriver,
    FilesFeature,
    FileStream,
)
from capa_core.components.file import _listing
from capa_core.components.file._names import path_of
from capa_core.components.file._stored import Stored, etag_of, opened, present, remove
from capa_core.components.file._tree import Tree, locked, sync
from capa_core.components.file._writing import Writing
from capa_core.errors import (
    CapaError,
    ConflictError,
    ExhaustedError,
    InvalidArgumentError,
    PermissionDeniedError,
    SettingsError,
    UnavailableError,
)
from capa_core.folders import check_makeable

_EMBEDDED = Path(".capa/files")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_MISPLACED = (errno.ENOTDIR, errno.EEXIST)
"""Something else, or a link to nothing, is in the place of the folder."""


def _named(path: object) -> object:
    """Refuse `""`, as an empty variable gives it: it would be the folder of capa.toml, with the program's own files."""
    if path == "":
        raise ValueError("is empty. Name a folder, relative to capa.toml.")
    return path


class LocalFilesSettings(BaseModel):
    """The folder of the files.

    Attributes:
        path: The folder, relative to *root*; on a local disk, with times to the nanosecond and names that differ by
            case. The folder `files` in the runtime's `.capa` by default.
        root: The folder of capa.toml; filled in by the runtime.
        private: Whether files and folders are for their owner alone; if not, the umask of the process decides.
        timeout_s: Seconds for which a write waits for the writes of others into the same folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Annotated[Path, BeforeValidator(_named)] = _EMBEDDED
    root: Path = Path()
    private: bool = True
    timeout_s: float = Field(default=5.0, gt=0)


class LocalFiles(FilesDriver[LocalFilesSettings]):
    """Files below one folder, which the first write makes. No key and no link leads out of it."""

    settings_type = LocalFilesSettings
    features = {
        **dict.fromkeys(FilesFeature, NATIVE),
        FilesFeature.COPY: BY_CORE,
        FilesFeature.BULK: BY_CORE,
        FilesFeature.SHARED: Support(How.NATIVE, "by the processes of one machine"),
        FilesFeature.URL: absent("no server serves the folder"),
    }

    def __init__(self, settings: LocalFilesSettings) -> None:
        super().__init__(settings)
        if os.open not in os.supports_dir_fd:
            raise SettingsError(
                'driver = "local" needs Linux or macOS: choose another driver for files, such as "s3".'
            )
        self._folder = settings.root / settings.path
        self._tree = Tree(self._folder, private=settings.private, embedded=settings.path == _EMBEDDED)
        self._writing = Writing(self._tree, settings.timeout_s)

    def put(self, write: FilePut, pieces: Iterator[bytes]) -> str | None:
        """See `FilesDriver.put`."""
        path = path_of(write.key)
        with self._naming(path):
            if write.if_etag is not None and write.if_etag != self._etag(path):
                return None
            return self._writing.put(write, path, pieces)

    def open(self, key: str, offset: int, length: int | None, etag: str | None) -> FileStream | None:
        """See `FilesDriver.open`."""
        found = self._opened(key)
        if found is None:
            return None
        if etag not in (None, found.info.etag):
            os.close(found.handle)
            raise ConflictError(f"{key!r} has another content since it was opened")
        return _LocalStream(found, offset, length)

    def stat(self, key: str) -> FileInfo | None:
        """See `FilesDriver.stat`."""
        if (found := self._opened(key)) is None:
            return None
        os.close(found.handle)
        return found.info

    def page(self, prefix: str, *, by_folder: bool, token: str, most: int) -> FilePage:
        """See `FilesDriver.page`: it reads the names of each folder on the way to the page."""
        with self._naming():
            return _listing.page(self._tree, prefix, by_folder=by_folder, token=token, most=most)

    def delete(self, key: str) -> None:
        """See `FilesDriver.delete`; folders that are empty then go too."""
        path = path_of(key)
        with self._naming(path), self._tree.folder(path[:-1]) as folder:
            if folder is None:
                return
            with locked(folder, self.settings.timeout_s):
                remove(folder, path[-1])
            sync(folder)
        self._tree.prune(path[:-1])

    def name_error(self, error: Exception) -> type[CapaError] | None:
        """See `Driver.name_error`."""
        if not isinstance(error, OSError):
            return None
        if error.errno in _FULL:
            return ExhaustedError
        if error.errno == errno.ENAMETOOLONG:
            return InvalidArgumentError
        return PermissionDeniedError if error.errno in _REFUSED else UnavailableError

    def ping(self) -> str:
        """See `Driver.ping`."""
        with self._naming():
            return self._looked_at(self._folder.resolve())

    def address(self) -> str:
        """See `Driver.address`."""
        return str(self._folder)

    def close(self) -> None:
        """See `Driver.close`: nothing stays open."""

    def _opened(self, key: str) -> Stored | None:
        path = path_of(key)
        with self._naming(path), self._tree.folder(path[:-1]) as folder:
            return None if folder is None else opened(folder, path[-1], key)

    @contextmanager
    def _naming(self, path: tuple[str, ...] = ()) -> Iterator[None]:
        """Name the whole path in an error of the system, which knows the last part alone, or a temporary name.

        Raises:
            SettingsError: The folder of the component is none.
            ConflictError: The file would be on another file system, where nothing appears as a whole.
        """
        try:
            yield
        except OSError as error:
            if isinstance(error, CapaError) or error.errno is None:
                raise
            place = self._folder.joinpath(*path) if path else self._folder / str(error.filename or "")
            if error.errno in _MISPLACED and error.filename == str(self._folder):
                raise SettingsError(
                    f"{self._folder} is no folder, or a link to none. Correct `path`, or move it away."
                ) from error
            if error.errno == errno.EXDEV:
                raise ConflictError(
                    f"{place.parent} is on another file system than {self._folder}, and no file goes there in one step."
                    " Nothing was stored. Give it a component with a `path` of its own."
                ) from error
            raise OSError(error.errno, os.strerror(error.errno), str(place)) from error

    def _looked_at(self, folder: Path) -> str:
        if not folder.exists():
            check_makeable(folder)
            return f"files in {folder}, which does not exist yet"
        with os.scandir(folder), suppress(StopIteration):
            return f"files in {folder}"
        return ""

    def _etag(self, path: tuple[str, ...]) -> str:
        with self._tree.folder(path[:-1]) as folder:
            _, found = ("", None) if folder is None else present(folder, path[-1])
        return etag_of(found) if found else ""


class _LocalStream(FileStream):
    """An open file, which stays the same when another takes its name."""

    def __init__(self, stored: Stored, offset: int, length: int | None) -> None:
        self.info = stored.info
        self._handle = stored.handle
        self._offset = offset
        self._end = self.info.size if length is None else min(self.info.size, offset + length)

    def read(self, size: int) -> bytes:
        """See `FileStream.read`."""
        if (wanted := min(size, self._end - self._offset)) <= 0:
            return b""
        data = os.pread(self._handle, wanted, self._offset)
        self._offset += len(data)
        return data

    def close(self) -> None:
        """See `FileStream.close`."""
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            os.close(handle)
