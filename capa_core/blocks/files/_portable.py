"""Files: contents of any size by key, with metadata, ranges, listings and conditional writes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from capa_core.blocks.files._checks import check_content_type, check_key, check_prefix, checked_metadata
from capa_core.blocks.files._reader import FileReader, Resuming
from capa_core.blocks.files._source import Content, Source, raising_own
from capa_core.blocks.files.driver import (
    DEFAULT_CONTENT_TYPE,
    LARGEST_PAGE,
    FileEntry,
    FileInfo,
    FilePage,
    FilePut,
    FilesDriver,
    FilesFeature,
    FilesLimits,
    FilesStatus,
    Method,
)
from capa_core.call import DEFAULT_POLICY, Policy
from capa_core.call.checks import Duration, check_count, check_encodable, seconds
from capa_core.call.limits import bound, refuse
from capa_core.call.portable import Portable, counted
from capa_core.call.traits import call_traits
from capa_core.errors import ConflictError, InvalidArgumentError, NotFoundError, UnsupportedError

_LARGEST_OFFSET = 2**63 - 1
_COUNTED = 10_000


class Files(Portable[FilesDriver[Any]]):
    """Files by key, on the engine of this component. Safe for many threads.

        files.put("reports/2026.csv", b"a,b\\n", content_type="text/csv")
        with open("film.mp4", "rb") as film:
            files.put("film.mp4", film)
        with files.open("film.mp4") as reader:
            shutil.copyfileobj(reader, target)

    A key is 1 to 768 bytes of UTF-8, any Unicode; a `/` in it makes folders for `page`, and no more: `..` and the like
    have no meaning, and no key leads out of the component. A file appears as a whole or not at all: a put that fails
    or is killed leaves what was there before.

    Any call may raise `UnavailableError` or `DeadlineError` (the engine did not answer), `ClosedError`, and
    `InvalidArgumentError` (before anything was done).
    """

    def __init__(
        self, driver: FilesDriver[Any], *, name: str = "default", policy: Policy = DEFAULT_POLICY
    ) -> None:
        super().__init__("files", driver, name, policy)
        self._limits = driver.limits
        self._max_file_bytes = bound(self._limits.max_file_bytes)
        self._files_per_page = LARGEST_PAGE

    @property
    def limits(self) -> FilesLimits:
        """The limits of the component; a call over one of them is refused."""
        return self._limits

    def put(
        self,
        key: str,
        content: Content,
        *,
        content_type: str = DEFAULT_CONTENT_TYPE,
        metadata: Mapping[str, str] | None = None,
        if_etag: str | None = None,
    ) -> str:
        """Store *content* at *key*, in place of what is there, and return its etag.

        Args:
            content: Bytes, an object with `read` such as a file opened with "rb", or an iterable of bytes. A stream is
                read once, in pieces, and need not fit into memory.
            content_type: A media type, in at most 128 characters of ASCII.
            metadata: Names with values of your own; those that are there are replaced. At most 32 names of a-z, 0-9,
                `-` and `.`, and 1,024 bytes in all.
            if_etag: Store only if the current etag is this one; `""`: only if there is no file.

        Raises:
            ConflictError: *if_etag* is not the current etag. Nothing was stored.
            ExhaustedError: The engine is full. Nothing was stored.
            UnsupportedError: *if_etag* is given, and the component has no CONDITIONAL. Nothing was stored.
            UnavailableError: The engine did not answer. The whole file is stored, or nothing.
            Exception: The stream's own error. Nothing was stored.

        Retries: bytes without *if_etag* are stored again. A stream, or a write with *if_etag*, is sent once; after
            `UnavailableError`, compare the etag.
        """
        check_key(key)
        check_content_type(content_type)
        named = checked_metadata(metadata)
        if if_etag is not None:
            check_encodable("if_etag", if_etag)
            self._require(FilesFeature.CONDITIONAL)
        write = FilePut(key=key, content_type=content_type, metadata=named, if_etag=if_etag)
        if isinstance(content, bytes | bytearray | memoryview):
            etag = self._put_bytes(write, bytes(content))
        else:
            etag = self._put_stream(write, Source(content, lambda size: self._check_piece(key, size)))
        if etag is None:
            raise _conflict(key, if_etag)
        return etag

    def get(self, key: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Return the content of *key*, or *length* bytes of it from *offset* on; fewer at its end.

        Raises:
            NotFoundError: There is no such file.
        """
        with self.open(key, offset=offset, length=length) as reader:
            return reader.read()

    @call_traits(opens=True)
    def open(self, key: str, *, offset: int = 0, length: int | None = None) -> FileReader:
        """Return a binary file object to read *key*, or *length* bytes of it from *offset* on. Close it.

        Raises:
            NotFoundError: There is no such file.
        """
        check_key(key)
        check_count("offset", offset, least=0, most=_LARGEST_OFFSET)
        if length is not None:
            check_count("length", length, least=0, most=_LARGEST_OFFSET)
        stream = self._guard.safe("open", self._driver.open, key, offset, length or None, None)
        if stream is None:
            raise self._missing(key)
        return FileReader(Resuming(self._guard, self._driver, stream, offset, length))

    def stat(self, key: str) -> FileInfo | None:
        """Return size, etag, time, content type and metadata of *key*; `None` if there is no such file."""
        check_key(key)
        return self._guard.safe("stat", self._driver.stat, key)

    def scan(self, prefix: str = "") -> Iterator[FileEntry]:
        """Yield each file whose key begins with *prefix*, in the order of the keys.

        Files that are stored or deleted meanwhile may be missing.
        """
        check_prefix(prefix)
        return self._scanned(prefix)

    def page(
        self, prefix: str = "", *, delimiter: str = "", token: str = "", most: int = LARGEST_PAGE
    ) -> FilePage:
        """Return a part of the files whose keys begin with *prefix*, in the order of the keys.

        Args:
            delimiter: `"/"` returns keys that have one after *prefix* once for all, as one of `prefixes`.
            token: The `token` of the page before; it holds in other processes too.
            most: The most files and prefixes together, 1 to 1,000. A page may have fewer: only a `token` of `""` is
                the end.
        """
        check_prefix(prefix)
        check_encodable("token", token)
        check_count("most", most, most=LARGEST_PAGE)
        if delimiter not in ("", "/"):
            raise InvalidArgumentError(f"delimiter is {delimiter!r}: give '/' or ''")
        return self._guard.safe(
            "page", self._driver.page, prefix, by_folder=bool(delimiter), token=token, most=most
        )

    def delete(self, key: str) -> None:
        """Delete *key*; do nothing if there is no such file.

        Retries: repeated.
        """
        check_key(key)
        self._guard.safe("delete", self._driver.delete, key)

    def delete_many(self, keys: Iterable[str]) -> None:
        """Delete each of *keys*, those that are there; not a transaction.

        Raises:
            UnavailableError: The engine did not answer. Any of them may be deleted.

        Retries: repeated.
        """
        if isinstance(keys, str):
            raise InvalidArgumentError(f"keys is the text {keys!r}: give a list of keys")
        distinct = list(dict.fromkeys(keys))
        for key in distinct:
            check_key(key)
        if self._features[FilesFeature.BULK].by_driver:
            for start in range(0, len(distinct), LARGEST_PAGE):
                self._guard.safe(
                    "delete_many", self._driver.delete_many, distinct[start : start + LARGEST_PAGE]
                )
        else:
            for key in distinct:
                self._guard.safe("delete", self._driver.delete, key)

    def copy(self, source: str, target: str) -> str:
        """Store content, content type and metadata of *source* at *target* too, and return the etag there.

        Raises:
            NotFoundError: There is no *source*. Nothing was stored.

        Retries: repeated.
        """
        check_key(source)
        check_key(target)
        if source == target:
            etag = info.etag if (info := self.stat(source)) else None
        elif self._features[FilesFeature.COPY].by_driver:
            etag = self._guard.safe("copy", self._driver.copy, source, target)
        else:
            etag = self._copied(source, target)
        if etag is None:
            raise self._missing(source)
        return etag

    def url(
        self, key: str, *, expires: Duration, method: Method = "GET", content_type: str | None = None
    ) -> str:
        """Return an address that lets whoever has it read *key*, or write it, until it expires. It is a secret.

        Args:
            expires: 1 second or more, up to `limits.max_url_s`.
            method: "GET" to read, "PUT" to write.
            content_type: The only one that the PUT may have, which it must send; `None` for any.

        Raises:
            UnsupportedError: The component has no URL.
        """
        check_key(key)
        self._require(FilesFeature.URL)
        if method not in ("GET", "PUT"):
            raise InvalidArgumentError(f"method is {method!r}: give 'GET' or 'PUT'")
        if content_type is not None:
            check_content_type(content_type)
        expires_s = math.ceil(seconds("expires", expires, least=1))
        if expires_s > bound(self._limits.max_url_s):
            refuse(f"files {self.name!r}", "expires", expires_s, self._limits, "max_url_s")
        return self._guard.once("url", self._driver.url, key, method, expires_s, content_type)

    def inspect(self, *, most: int = 100_000) -> FilesStatus:
        """Return the number of files of the component and their size.

        Args:
            most: The count at which counting ends.
        """
        count = size = 0
        for entry in self.scan():
            if count == most:
                return FilesStatus(files=count, size_bytes=size, complete=False)
            count, size = count + 1, size + entry.size
        return FilesStatus(files=count, size_bytes=size)

    def summary(self) -> str:
        """See `Portable.summary`."""
        status = self.inspect(most=_COUNTED)
        return counted(status.files, "file") + ("" if status.complete else " and more")

    def _put_bytes(self, write: FilePut, data: bytes) -> str | None:
        self._check_size(write.key, len(data))
        call = self._guard.safe if write.if_etag is None else self._guard.once
        return call("put", lambda: self._driver.put(write, iter((data,) if data else ())))

    def _put_stream(self, write: FilePut, source: Source) -> str | None:
        return raising_own(lambda: self._guard.once("put", self._driver.put, write, source.pieces()))

    def _check_piece(self, key: str, size: int) -> None:
        self._driver.address()  # raises where the component was closed meanwhile: a source may go on for ever
        self._check_size(key, size)

    def _check_size(self, key: str, size: int) -> None:
        if size > self._max_file_bytes:
            refuse(f"files {self.name!r}", f"the content of {key!r}", size, self._limits, "max_file_bytes")

    def _copied(self, source: str, target: str) -> str | None:
        with self.open(source) as reader:
            info = reader.info
            write = FilePut(key=target, content_type=info.content_type, metadata=info.metadata)
            return self._guard.once("copy", self._driver.put, write, reader.chunks())

    def _scanned(self, prefix: str) -> Iterator[FileEntry]:
        token = ""
        while True:
            page = self.page(prefix, token=token, most=self._files_per_page)
            yield from page.files
            if not (token := page.token):
                return

    def _missing(self, key: str) -> NotFoundError:
        return NotFoundError(f"files {self.name!r} has no {key!r}. `scan` yields the keys that there are.")

    def _require(self, feature: FilesFeature) -> None:
        support = self._features[feature]
        if not support:
            raise UnsupportedError(
                f"files {self.name!r} has no {feature}: {support.note}. Choose another driver for it in capa.toml,"
                f" and let `requires` check it at start-up."
            )


def _conflict(key: str, if_etag: str | None) -> ConflictError:
    if if_etag == "":
        return ConflictError(f"there is a file {key!r} already; nothing was stored. Read it, then decide.")
    return ConflictError(f"{key!r} does not have the etag {if_etag!r}; nothing was stored. Read it again.")
