"""The contract of drivers of files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from capa_core.abilities import Feature, Level
from capa_core.driver import Driver, SettingsT

LONGEST_KEY_BYTES = 768
LARGEST_METADATA_BYTES = 1024
MOST_METADATA = 32
LARGEST_PAGE = 1000
PIECE_BYTES = 1024**2
DEFAULT_CONTENT_TYPE = "application/octet-stream"

Method = Literal["GET", "PUT"]


class FilesFeature(Feature):
    """Abilities of files."""

    RANGE = ("range", Level.ALWAYS)
    """A part of a file can be read without the rest."""
    METADATA = ("metadata", Level.ALWAYS)
    """A file has a content type, and names with values of its own."""
    COPY = ("copy", Level.ALWAYS)
    """A file is copied within the component."""
    BULK = ("bulk", Level.ALWAYS)
    """Many files are deleted in one call."""
    CONDITIONAL = ("conditional", Level.COMMON)
    """A write can require that there is no file, or the current etag."""
    STREAM = ("stream", Level.COMMON)
    """A file passes in pieces: it may be larger than the memory of the process."""
    SHARED = ("shared", Level.COMMON)
    """Several processes see the same files."""
    DURABLE = ("durable", Level.COMMON)
    """A stored file survives a crash of the process and of the machine."""
    URL = ("url", Level.SOME)
    """A signed address lets another program read or write one file for a while, without credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesLimits:
    """The limits of a component; `None` where no limit is known.

    Attributes:
        max_key_bytes: The longest key in UTF-8; the same on every component.
        max_metadata_bytes: The names and values of a file's metadata together, in UTF-8; the same on every component.
        max_file_bytes: The largest file.
        max_url_s: The longest time for which a signed address holds.
    """

    max_key_bytes: int = LONGEST_KEY_BYTES
    max_metadata_bytes: int = LARGEST_METADATA_BYTES
    max_file_bytes: int | None = None
    max_url_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """A file in a listing.

    Attributes:
        size: In bytes.
        etag: Opaque text: two contents of one key with the same etag are equal.
        modified_at: When the file was stored, by the engine's clock, in UTC.
    """

    key: str
    size: int
    etag: str
    modified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FileInfo(FileEntry):
    """A file with its content type and metadata."""

    content_type: str = DEFAULT_CONTENT_TYPE
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePage:
    """A part of a listing, in the order of the keys.

    Attributes:
        files: The files.
        prefixes: With a delimiter: what the keys of further files begin with, up to and with the delimiter.
        token: Leads to the next page; `""` at the last one.
    """

    files: Sequence[FileEntry] = ()
    prefixes: Sequence[str] = ()
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesStatus:
    """The content of a component at one moment.

    Attributes:
        files: The number of files.
        size_bytes: Their sizes together.
        complete: Whether all were counted; if not, counting ended at *files*.
    """

    files: int
    size_bytes: int
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePut:
    """One write.

    Attributes:
        if_etag: `None` writes always; `""` only if there is no file; else only if this is the current etag.
    """

    key: str
    content_type: str = DEFAULT_CONTENT_TYPE
    metadata: Mapping[str, str] = field(default_factory=dict)
    if_etag: str | None = None


class FileStream(ABC):
    """The content of one file, or a part of it, as it was when it was opened. Used by one thread at a time."""

    info: FileInfo
    """The whole file."""

    @abstractmethod
    def read(self, size: int) -> bytes:
        """Return 1 to *size* bytes, or none at the end. It *must not* hold much more than that in memory."""

    @abstractmethod
    def close(self) -> None:
        """Free the connection or file, also before the end. A second `close` does nothing."""


class FilesDriver(Driver[SettingsT]):
    """Files by key. Keys are 1 to 768 bytes of UTF-8, any Unicode: the driver escapes what its engine cannot hold.

    A file appears as a whole: no reader and no listing *may* see a part of a put, nor the content of one put with the
    metadata of another. A put that fails, or whose process dies, leaves what was there before. What a put has stored,
    each later `open`, `stat` and `page` of every process sees.

    The core reads and writes a file again for a COPY, and deletes one by one for BULK, if those are declared as
    compensated by the core; their methods are never called then, and need not exist.
    """

    @property
    def limits(self) -> FilesLimits:
        """The limits of the engine. Read once, before anything is opened."""
        return FilesLimits()

    @abstractmethod
    def put(self, write: FilePut, pieces: Iterator[bytes]) -> str | None:
        """Store the *pieces*, one after the other, and return the new etag.

        It *must* return `None`, with nothing stored, if *if_etag* does not match; also if another writer comes first
        while the pieces are read. It *may* do so before it has read any. A piece is not empty. It *must not* hold
        all pieces in memory if it has STREAM. An error of *pieces* passes through raw, and nothing is stored.
        """

    @abstractmethod
    def open(self, key: str, offset: int, length: int | None, etag: str | None) -> FileStream | None:
        """Return the content from *offset* on; `None` if there is no file.

        An *offset* past the end is no error: the stream is empty. *length* is 1 or more; `None` reads to the end.

        Raises:
            ConflictError: *etag* is given and is not the current one.
        """

    @abstractmethod
    def stat(self, key: str) -> FileInfo | None:
        """Return the file without its content; `None` if there is none."""

    @abstractmethod
    def page(self, prefix: str, *, by_folder: bool, token: str, most: int) -> FilePage:
        """Return files whose keys begin with *prefix*, in the order of their Unicode code points.

        Args:
            by_folder: Return keys with a `/` after *prefix* once for all, as a prefix that ends with it.
            token: Of the page before; `""` for the first. It *must* also hold in another process, and after files
                were stored or deleted.
            most: The most files and prefixes together, 1 to 1,000. A page *may* have fewer, also none.
        """

    @abstractmethod
    def delete(self, key: str) -> None:
        """Delete a file; do nothing if there is none."""

    def delete_many(self, keys: Sequence[str]) -> None:
        """Delete 1 to 1,000 different files, those that are there. BULK."""
        raise NotImplementedError

    def copy(self, source: str, target: str) -> str | None:
        """Store the content, type and metadata of *source* at another key; return the new etag. COPY.

        It returns `None` if there is no *source*.
        """
        raise NotImplementedError

    def url(self, key: str, method: Method, expires_s: int, content_type: str | None) -> str:
        """Return an address for *method* on *key*, which need not exist. URL.

        Args:
            content_type: The only one that a PUT may have; `None` for any.
        """
        raise NotImplementedError
