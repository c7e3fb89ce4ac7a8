"""Files of one process: for tests, and for applications of one process."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import count

from pydantic import BaseModel, ConfigDict

from capa_core.abilities import NATIVE, absent
from capa_core.blocks.files.driver import (
    FileInfo,
    FilePage,
    FilePut,
    FilesDriver,
    FilesFeature,
    FileStream,
)
from capa_core.errors import ConflictError


class MemoryFilesSettings(BaseModel):
    """No settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MemoryFiles(FilesDriver[MemoryFilesSettings]):
    """The content of each key, in a dictionary."""

    settings_type = MemoryFilesSettings
    features = {
        **dict.fromkeys(FilesFeature, NATIVE),
        FilesFeature.STREAM: absent("the files are in the memory of the process"),
        FilesFeature.SHARED: absent("each process has its own memory"),
        FilesFeature.DURABLE: absent("memory ends with the process"),
        FilesFeature.URL: absent("no server serves the memory of a process"),
    }

    def __init__(self, settings: MemoryFilesSettings) -> None:
        super().__init__(settings)
        self._files: dict[str, tuple[FileInfo, bytes]] = {}
        self._etags = count(1)
        self._changing = threading.Lock()

    def put(self, write: FilePut, pieces: Iterator[bytes]) -> str | None:
        """See `FilesDriver.put`."""
        content = b"".join(pieces)
        with self._changing:
            found = self._files.get(write.key)
            if write.if_etag is not None and write.if_etag != (found[0].etag if found else ""):
                return None
            return self._store(
                FileInfo(
                    key=write.key,
                    size=len(content),
                    etag=str(next(self._etags)),
                    modified_at=datetime.now(UTC),
                    content_type=write.content_type,
                    metadata=write.metadata,
                ),
                content,
            )

    def open(self, key: str, offset: int, length: int | None, etag: str | None) -> FileStream | None:
        """See `FilesDriver.open`."""
        if (found := self._files.get(key)) is None:
            return None
        info, content = found
        if etag not in (None, info.etag):
            raise ConflictError(f"{key!r} has another content since it was opened")
        end = info.size if length is None else offset + length
        return _MemoryStream(info, content, offset, min(info.size, end))

    def stat(self, key: str) -> FileInfo | None:
        """See `FilesDriver.stat`."""
        found = self._files.get(key)
        return None if found is None else found[0]

    def page(self, prefix: str, *, by_folder: bool, token: str, most: int) -> FilePage:
        """See `FilesDriver.page`: the token is the last key or prefix of the page before."""
        with self._changing:
            keys = sorted(self._files)
        names = {key: _folder(key, prefix) if by_folder else "" for key in keys if key.startswith(prefix)}
        shown = list(dict.fromkeys(folder or key for key, folder in names.items()))
        start = bisect_right(shown, token)
        part = shown[start : start + most]
        return FilePage(
            files=[found[0] for name in part if names.get(name) == "" and (found := self._files.get(name))],
            prefixes=[name for name in part if names.get(name) != ""],
            token=part[-1] if start + most < len(shown) else "",
        )

    def delete(self, key: str) -> None:
        """See `FilesDriver.delete`."""
        with self._changing:
            self._files.pop(key, None)

    def delete_many(self, keys: Sequence[str]) -> None:
        """See `FilesDriver.delete_many`."""
        for key in keys:
            self.delete(key)

    def copy(self, source: str, target: str) -> str | None:
        """See `FilesDriver.copy`."""
        if (found := self._files.get(source)) is None:
            return None
        info, content = found
        write = FilePut(key=target, content_type=info.content_type, metadata=info.metadata)
        return self.put(write, iter((content,)))

    def ping(self) -> str:
        """See `Driver.ping`."""
        return f"memory of this process, {len(self._files)} files"

    def close(self) -> None:
        """See `Driver.close`."""
        self._files = {}

    def forget(self) -> None:
        """See `Driver.forget`: another thread of the parent may have held the lock."""
        self._changing = threading.Lock()

    def _store(self, info: FileInfo, content: bytes) -> str:
        self._files[info.key] = (info, content)
        return info.etag


class _MemoryStream(FileStream):
    def __init__(self, info: FileInfo, content: bytes, offset: int, end: int) -> None:
        self.info = info
        self._content = content
        self._offset = offset
        self._end = end

    def read(self, size: int) -> bytes:
        """See `FileStream.read`."""
        start, self._offset = self._offset, min(self._offset + size, max(self._end, self._offset))
        return self._content[start : self._offset]

    def close(self) -> None:
        """See `FileStream.close`."""


def _folder(key: str, prefix: str) -> str:
    """Return *key* up to the first `/` after *prefix*; `""` if there is none."""
    end = key.find("/", len(prefix))
    return key[: end + 1] if end >= 0 else ""
