"""Streams: contents that pass in pieces, and those that fail."""

from __future__ import annotations

import hashlib
import io
import random
import resource
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from capa_core.blocks.files import Files, FilesDriver, FilesFeature
from capa_core.conformance._files.suite import (
    LARGE_BYTES,
    MIB,
    STREAM_MEMORY_BYTES,
    Connect,
    Suite,
)
from capa_core.conformance._limits import over, unreachable
from capa_core.conformance._processes import in_children
from capa_core.errors import (
    ClosedError,
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
)


class StreamPromises(Suite):
    """The promises of streams."""

    def test_a_file_is_read_and_written_in_pieces(self, files: Files) -> None:
        content = random.Random(7).randbytes(11 * MIB + 5)  # noqa: S311 - the same each time
        files.put("from", io.BytesIO(content))
        with files.open("from") as reader:
            files.put("to", reader)
        target = io.BytesIO()
        with files.open("to") as reader:
            first, line = reader.read(3), reader.peek(1)[:1]
            shutil.copyfileobj(reader, target)

        assert (content[:3], content[3:4]) == (first, line)
        assert content == first + target.getvalue()

    def test_a_source_that_fails_leaves_what_was_there(self, files: Files) -> None:
        def source() -> Iterator[bytes]:
            yield b"n" * 9 * MIB
            raise OSError(5, "the caller's own")

        files.put("k", b"before", metadata={"a": "b"})
        with pytest.raises(OSError, match="the caller's own"):
            files.put("k", source())
        with pytest.raises(OSError, match="the caller's own"):
            files.put("other", source())
        info = files.stat("k")

        assert (b"before", ["k"]) == (files.get("k"), [each.key for each in files.scan()])
        assert info is not None
        assert {"a": "b"} == info.metadata

    def test_a_put_ends_when_its_component_closes(self, connect: Connect, files: Files) -> None:
        def source() -> Iterator[bytes]:
            yield b"n"
            closing.close()
            while True:
                yield b"n"

        files.put("k", b"before")
        with Files(connect()) as closing, pytest.raises(ClosedError):
            closing.put("k", source())

        assert b"before" == files.get("k")

    def test_an_unfinished_put_is_not_seen(self, files: Files) -> None:
        seen: list[Any] = []

        def source() -> Iterator[bytes]:
            for _ in range(9):
                yield bytes(MIB)
            seen.extend([files.stat("new"), files.get("old"), [each.key for each in files.scan()]])

        files.put("old", b"before")
        files.put("new", source())
        files.put("old", b"after")

        assert [None, b"before", ["old"]] == seen

    def test_an_open_file_keeps_its_content(self, files: Files) -> None:
        """It is that of one put to its end, or the read fails."""
        files.put("k", b"a" * 5 * MIB)
        with files.open("k") as reader:
            first = reader.read(10)
            files.put("k", b"b" * 5 * MIB)
            try:
                rest = reader.read()
            except (ConflictError, NotFoundError):
                rest = b""

        assert {b"a"[0]} == set(first + rest)

    def test_a_large_stream_needs_little_memory_if_declared(
        self, connect: Connect, driver: FilesDriver[Any]
    ) -> None:
        def child(_: int) -> tuple[bool, int]:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            with Files(connect()) as files:
                return _large_is_the_same(files), resource.getrusage(
                    resource.RUSAGE_SELF
                ).ru_maxrss * 1024 - before * 1024

        ((same, grown),) = in_children(1, child)

        assert same
        assert bool(driver.features[FilesFeature.STREAM]) == (grown < STREAM_MEMORY_BYTES), grown

    def test_a_file_above_the_limit_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, driver: FilesDriver[Any], files: Files
    ) -> None:
        if (limit := files.limits.max_file_bytes) is not None and limit > LARGE_BYTES:
            pytest.skip("it takes too long to get there")
        content = over(limit)
        unreachable(monkeypatch, driver, ["put"])

        with pytest.raises(InvalidArgumentError, match="max_file_bytes"):
            files.put("k", content)


def _large_is_the_same(files: Files) -> bool:
    """Return whether a large stream is read as it was put, for the most part."""
    piece = random.Random(7).randbytes(MIB)  # noqa: S311 - the same each time
    sent, read = hashlib.sha256(), hashlib.sha256()

    def source() -> Iterator[bytes]:
        for number in range(LARGE_BYTES // MIB):
            part = number.to_bytes(8) + piece[8:]
            sent.update(part)
            yield part

    files.put("large", source())
    with files.open("large") as reader:
        for part in reader.chunks():
            read.update(part)
    return sent.digest() == read.digest()
