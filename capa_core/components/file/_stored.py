"""A stored file: its content, and the metadata beside it, which always belong to one put.

The content is the file itself. Its etag is its time, which each put chooses anew, with its size. The metadata are in
a file beside, by etag, those of the put before included: it is replaced before the content is, so that whichever
content a reader has opened, its metadata are there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from stat import S_ISDIR
from typing import Any

from capa_core.blocks.files.driver import DEFAULT_CONTENT_TYPE, FileEntry, FileInfo, FilePut
from capa_core.components.file._names import BESIDE, SIDECAR
from capa_core.components.file._tree import is_file, looked_at, open_file
from capa_core.errors import DataLossError

_LARGEST_SIDECAR = 64 * 1024

Described = Mapping[str, Any]
"""Content type and metadata, by etag."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An open file with what is known of it."""

    handle: int
    info: FileInfo


def opened(folder: int, name: str, key: str) -> Stored | None:
    """Open the file of *key*, whose own name is *name*; `None` if there is none."""
    while True:
        found = _open_either(folder, name)
        if found is None:
            return None
        handle, own_name = found
        try:
            if (info := _described(folder, own_name, key, handle)) is not None:
                return Stored(handle, info)
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def etag_of(found: os.stat_result) -> str:
    """Return the etag of a file."""
    return f"{found.st_mtime_ns:x}-{found.st_size:x}"


def entry_of(key: str, found: os.stat_result) -> FileEntry:
    """Return a file for a listing."""
    return FileEntry(key=key, size=found.st_size, etag=etag_of(found), modified_at=_time_of(found))


def present(folder: int, name: str) -> tuple[str, os.stat_result | None]:
    """Return the name to write to, and the status of the file that is there; `None` if there is none."""
    if is_file(plain := looked_at(folder, name)):
        return name, plain
    if is_file(beside := looked_at(folder, name + BESIDE)):
        return name + BESIDE, beside
    is_folder = plain is not None and S_ISDIR(plain.st_mode)
    return (name + BESIDE if is_folder else name), None


def described(folder: int, name: str, etag: str, write: FilePut) -> bytes | None:
    """Return the new content of the file with the metadata; `None` if it stays as it is.

    Args:
        etag: Of the content that *write* is about to store.
    """
    before = _read(folder, name, write.key)
    is_plain = write.content_type == DEFAULT_CONTENT_TYPE and not write.metadata
    if is_plain:
        return None  # a content without an entry has none
    current = looked_at(folder, name)
    kept = {key: value for key, value in before.items() if current and key == etag_of(current)}
    entries = {**kept, etag: {"content_type": write.content_type, "metadata": dict(write.metadata)}}
    return json.dumps(entries).encode()


def remove(folder: int, name: str) -> None:
    """Remove the file of that name, under whichever of its names, and then the metadata."""
    for each in (name, name + BESIDE):
        if is_file(looked_at(folder, each)):
            os.unlink(each, dir_fd=folder)
        with suppress(FileNotFoundError):
            os.unlink(SIDECAR + each, dir_fd=folder)


def _open_either(folder: int, name: str) -> tuple[int, str] | None:
    for each in (name, name + BESIDE):
        if (handle := open_file(folder, each)) is not None:
            return handle, each
    return None


def _described(folder: int, name: str, key: str, handle: int) -> FileInfo | None:
    """Return what is known of an open file; `None` if it was replaced, and its metadata are gone."""
    found = os.fstat(handle)
    etag = etag_of(found)
    entry = _read(folder, name, key).get(etag)
    if entry is None:
        now = looked_at(folder, name)
        if now is None or (now.st_ino, etag_of(now)) != (found.st_ino, etag):
            return None
        entry = {}
    return FileInfo(
        key=key,
        size=found.st_size,
        etag=etag,
        modified_at=_time_of(found),
        content_type=entry.get("content_type", DEFAULT_CONTENT_TYPE),
        metadata=entry.get("metadata", {}),
    )


def _read(folder: int, name: str, key: str) -> Described:
    """Return the metadata beside the file *name*, that of *key*; none if there are none."""
    handle = open_file(folder, SIDECAR + name)
    if handle is None:
        return {}
    try:
        data = os.read(handle, _LARGEST_SIDECAR)
    finally:
        os.close(handle)
    try:
        entries = json.loads(data)
        if all(isinstance(each, dict) for each in entries.values()):
            return entries  # type: ignore[no-any-return]
    except (ValueError, AttributeError):
        pass
    raise DataLossError(
        f"the file {SIDECAR + name!r} beside {key!r}, which holds content type and metadata, is damaged. It was left as"
        f" it is; remove it to go without them."
    )


def _time_of(found: os.stat_result) -> datetime:
    return datetime.fromtimestamp(found.st_mtime_ns / 1e9, UTC)
