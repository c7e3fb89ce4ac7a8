"""The open file that users hold: a binary file object that goes on where a broken connection left it."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

from capa_core.blocks.files.driver import PIECE_BYTES, FileInfo, FilesDriver, FileStream
from capa_core.call import Guard
from capa_core.call.traits import blocking
from capa_core.errors import NotFoundError, UnavailableError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER_BYTES = 128 * 1024


@blocking()
class FileReader(io.BufferedReader):
    """The content of a file, or a part of it, as it was when it was opened: a binary file to read forward.

    A connection that breaks is opened again at the same place. Any call may raise `UnavailableError` or
    `DeadlineError` (the engine did not answer), and `ConflictError` (the connection broke, and the file has another
    content since). Never is the content of one put followed by that of another.
    """

    def __init__(self, raw: Resuming) -> None:
        super().__init__(raw, _BUFFER_BYTES)
        self._info = raw.info

    @property
    def info(self) -> FileInfo:
        """The whole file."""
        return self._info

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next *size* bytes, fewer at the end; all that are left if *size* is -1 or `None`."""
        return super().read(-1 if size is None else size)

    def chunks(self, size: int = PIECE_BYTES) -> Iterator[bytes]:
        """Yield what is left in pieces of *size* bytes; the last one may be shorter."""
        while piece := super().read(size):
            yield piece

    def close(self) -> None:
        """Free the connection or file. A second `close` does nothing."""
        super().close()

    def __enter__(self) -> Self:
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        self.close()


class Resuming(io.RawIOBase):
    """The bytes from *offset* to *end* of a driver's stream, which is opened again when it breaks."""

    def __init__(
        self, guard: Guard, driver: FilesDriver[Any], stream: FileStream, offset: int, length: int | None
    ) -> None:
        self.info = stream.info
        self._guard = guard
        self._driver = driver
        self._stream: FileStream | None = stream
        self._position = offset
        self._end = self.info.size if length is None else min(self.info.size, offset + length)

    def readable(self) -> bool:
        """Return `True`."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read into *buffer* and return the number of bytes; 0 at the end."""
        target = memoryview(buffer).cast("B")
        data = self._read(len(target))
        target[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """Return all bytes that are left."""
        return b"".join(iter(lambda: self._read(PIECE_BYTES), b""))

    def close(self) -> None:
        """Close the stream."""
        if not self.closed and self._stream is not None:
            self._stream.close()
        super().close()

    def _read(self, size: int) -> bytes:
        wanted = min(size, self._end - self._position)
        if wanted <= 0:
            return b""
        policy = self._guard.policy
        last_start = time.monotonic() + policy.deadline_s - policy.attempt_s
        try:
            data = self._guard.repeated(lambda: self._try(wanted), last_start, lambda _: True)
        except Exception as error:  # noqa: BLE001 - every engine raises its own types
            self._guard.fail("read", error)
        self._position += len(data)
        return data

    def _try(self, size: int) -> bytes:
        stream = self._stream = self._stream or self._again()
        try:
            if data := stream.read(size):
                return data
        except Exception:
            self._drop(stream)
            raise
        self._drop(stream)
        raise UnavailableError(
            f"the content of {self.info.key!r} ends after {self._position:,} of {self._end:,} bytes"
        )

    def _drop(self, stream: FileStream) -> None:
        self._stream = None
        stream.close()

    def _again(self) -> FileStream:
        left = self._end - self._position
        stream = self._driver.open(self.info.key, self._position, left, self.info.etag)
        if stream is None:
            raise NotFoundError(
                f"{self.info.key!r} was deleted while it was read, and the connection broke after"
                f" {self._position:,} bytes"
            )
        return stream
