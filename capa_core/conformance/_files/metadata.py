"""Content types and metadata."""

from __future__ import annotations

from typing import Any

import pytest

from capa_core.blocks.files import Files
from capa_core.conformance._files.suite import (
    Suite,
)
from capa_core.errors import (
    InvalidArgumentError,
)


class MetadataPromises(Suite):
    """The promises of content types and metadata."""

    def test_a_content_type_and_metadata_are_kept(self, files: Files) -> None:
        metadata = {
            "a": "plain", "empty": "", "n-1.x": "ü 🔑 \u2028", "edge": " a  b ", "code": "=?utf-8?q?x?=",
            "control": "1\n2\t\x00", "percent": "100%41", "0": "\\\"'",
        }  # fmt: skip
        files.put("k", b"x", content_type="text/plain; charset=utf-8", metadata=metadata)
        with files.open("k") as reader:
            infos = [reader.info, files.stat("k")]

        assert ["text/plain; charset=utf-8"] * 2 == [each and each.content_type for each in infos]
        assert [metadata] * 2 == [each and each.metadata for each in infos]

    def test_without_a_content_type_it_is_that_of_bytes(self, files: Files) -> None:
        files.put("k.html", b"x")
        info = files.stat("k.html")

        assert info is not None
        assert ("application/octet-stream", {}) == (info.content_type, info.metadata)

    def test_as_many_metadata_as_allowed_are_kept(self, files: Files) -> None:
        most = {f"n{number:03}": "ü" * 14 for number in range(32)}
        files.put("k", b"x", metadata=most)
        info = files.stat("k")

        assert info is not None
        assert most == info.metadata

    @pytest.mark.parametrize(
        "metadata",
        [
            {"A": "x"},
            {"a_b": "x"}, {"": "x"}, {"a b": "x"}, {"a": 1}, {"a": None}, {"a": "\ud800"}, {"-a": "x"}, {"a" * 65: "x"},
            {"a": "x" * 1024}, {f"n{n}": "" for n in range(33)}, "text", [("a", "b")],
        ],
        ids=lambda each: repr(each)[:12],
    )  # fmt: skip
    def test_other_metadata_are_refused(self, files: Files, metadata: Any) -> None:
        with pytest.raises(InvalidArgumentError):
            files.put("k", b"x", metadata=metadata)

        assert files.stat("k") is None

    @pytest.mark.parametrize("content_type", ["", "text", "a/b\r\nx: y", "ü/x", "a/" + "b" * 127, None, 7])
    def test_another_content_type_is_refused(self, files: Files, content_type: Any) -> None:
        with pytest.raises(InvalidArgumentError):
            files.put("k", b"x", content_type=content_type)
