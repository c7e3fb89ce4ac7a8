"""The content that a caller gives, as pieces for a driver."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

from capa_core.blocks.files.driver import PIECE_BYTES
from capa_core.errors import CapaError, InvalidArgumentError

T = TypeVar("T")


class Readable(Protocol):
    """A file or another object that is read in pieces of bytes."""

    def read(self, size: int, /) -> bytes:
        """Return up to *size* bytes; none at the end."""
        ...


Content = bytes | bytearray | memoryview | Readable | Iterable[bytes]
"""Bytes, an object with `read` such as a file opened with "rb", or bytes in pieces of any length."""


class _SourceError(CapaError):
    """The caller's source raised; its own error is the cause."""


class Source:
    """The pieces of a stream, of at most 1 MiB each; read once.

    Args:
        allow: Called with the number of bytes so far; raises if those are too many.
    """

    def __init__(self, content: Readable | Iterable[bytes], allow: Callable[[int], None]) -> None:
        self._chunks = _chunks(content)
        self._allow = allow
        self._size = 0

    def pieces(self) -> Iterator[bytes]:
        """Yield the pieces, none of them empty."""
        while chunk := self._next():
            self._size += len(chunk)
            self._allow(self._size)
            for start in range(0, len(chunk), PIECE_BYTES):
                yield chunk[start : start + PIECE_BYTES]

    def _next(self) -> bytes:
        """Return the next chunk that is not empty; none at the end."""
        while True:
            try:
                chunk = next(self._chunks, None)
            except CapaError:
                raise
            except Exception as error:
                # Past the guard, which would take an OSError of the caller's file for one of the engine.
                raise _SourceError("the content could not be read") from error
            if chunk is None:
                return b""
            if not isinstance(chunk, bytes | bytearray | memoryview):
                raise InvalidArgumentError(
                    f"the content has a piece of type {type(chunk).__name__}: give bytes; open a file with mode 'rb'."
                    f" Nothing was stored."
                )
            if chunk:
                return bytes(chunk)


def raising_own(call: Callable[[], T]) -> T:
    """Return what *call* returns.

    Raises:
        Exception: The own error of the source that *call* read.
    """
    try:
        return call()
    except _SourceError as failed:
        error = failed.__cause__ or failed
    raise error


def _chunks(content: object) -> Iterator[bytes]:
    read = getattr(content, "read", None)
    if callable(read):
        return iter(lambda: read(PIECE_BYTES), b"")
    if isinstance(content, Iterable) and not isinstance(content, str):
        return iter(content)
    raise InvalidArgumentError(
        f"the content is of type {type(content).__name__}: give bytes, a file opened with mode 'rb', or an iterable of"
        f" bytes. Nothing was stored."
    )
