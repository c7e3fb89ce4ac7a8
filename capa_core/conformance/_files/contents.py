"""Contents: what was put is read, whole and in parts."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from capa_core.blocks.files import Files
from capa_core.conformance._files.suite import (
    Suite,
)
from capa_core.errors import (
    InvalidArgumentError,
    NotFoundError,
)


class ContentPromises(Suite):
    """The promises of contents and ranges."""

    @pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 5000], ids=["none", "one", "many"])
    def test_what_was_put_is_read(self, files: Files, content: bytes) -> None:
        etag = files.put("k", content)
        info = files.stat("k")

        assert content == files.get("k")
        assert info is not None
        assert ("k", len(content), etag) == (info.key, info.size, info.etag)

    def test_a_put_replaces(self, files: Files) -> None:
        etags = {files.put("k", content, metadata={"n": "1"}) for content in (b"longer", b"new")}
        files.put("k", b"new")
        info = files.stat("k")

        assert (b"new", 2) == (files.get("k"), len(etags))
        assert info is not None
        assert {} == info.metadata

    def test_what_is_missing(self, files: Files) -> None:
        for read in (files.get, files.open, lambda key: files.copy(key, "other")):
            with pytest.raises(NotFoundError, match="'k'"):
                read("k")

        assert files.stat("k") is None
        assert [] == list(files.scan())

    def test_the_time_of_a_put_is_told(self, files: Files) -> None:
        files.put("k", b"x")
        info = files.stat("k")

        assert info is not None
        assert abs(datetime.now(UTC) - info.modified_at) < timedelta(minutes=5)

    def test_other_bytes_are_accepted(self, files: Files) -> None:
        kinds: list[Any] = [bytearray(b"abc"), memoryview(b"abc"), io.BytesIO(b"abc"), [b"a", b"", b"bc"]]
        for content in kinds:
            files.put("k", content)

            assert b"abc" == files.get("k")

    @pytest.mark.parametrize(
        "content", ["text", None, 7, io.StringIO("t"), [b"a", "t"]], ids=lambda each: type(each).__name__
    )
    def test_what_is_no_bytes_is_refused(self, files: Files, content: Any) -> None:
        files.put("k", b"before")
        with pytest.raises(InvalidArgumentError):
            files.put("k", content)

        assert b"before" == files.get("k")

    @pytest.mark.parametrize(
        ("offset", "length"),
        [(0, 4), (3, 4), (3, None), (9, 1), (9, 5), (10, None), (10, 1), (50, 2), (0, 0), (4, 0)],
    )
    def test_a_part_is_read(self, files: Files, offset: int, length: int | None) -> None:
        content = b"0123456789"
        files.put("k", content)
        end = None if length is None else offset + length
        with files.open("k", offset=offset, length=length) as reader:
            size = reader.info.size
            read = reader.read()

        assert (content[offset:end], len(content)) == (read, size)

    def test_a_part_of_an_empty_file_is_empty(self, files: Files) -> None:
        files.put("k", b"")

        assert [b"", b""] == [files.get("k", length=3), files.get("k", offset=2)]
