"""Deletions, copies and conditional writes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from capa_core.blocks.files import Files, FilesFeature
from capa_core.conformance._files.suite import (
    MIB,
    Connect,
    Suite,
    needs,
    stores,
)
from capa_core.conformance._processes import in_children
from capa_core.errors import (
    ConflictError,
    InvalidArgumentError,
    UnsupportedError,
)


class ChangePromises(Suite):
    """The promises of deletions, copies and conditional writes."""

    def test_delete_is_idempotent(self, files: Files) -> None:
        files.put("k", b"x", metadata={"a": "b"})
        files.delete("k")
        files.delete("k")
        files.put("k", b"y")
        info = files.stat("k")

        assert info is not None
        assert (b"y", {}) == (files.get("k"), info.metadata)

    def test_many_are_deleted(self, files: Files) -> None:
        for key in [*self.odd_keys, "kept"]:
            files.put(key, b"x")
        files.delete_many([*self.odd_keys, "a", "missing"])
        files.delete_many([])

        assert ["kept"] == [each.key for each in files.scan()]
        with pytest.raises(InvalidArgumentError):
            files.delete_many("kept")

    def test_a_copy_has_content_type_and_metadata(self, files: Files) -> None:
        files.put("from ü", b"content", content_type="text/plain", metadata={"a": "é"})
        files.put("to/../x", b"before")
        etag = files.copy("from ü", "to/../x")
        files.put("from ü", b"later")
        info = files.stat("to/../x")

        assert info is not None
        assert (b"content", etag) == (files.get("to/../x"), info.etag)
        assert ("text/plain", {"a": "é"}) == (info.content_type, info.metadata)

    def test_a_copy_onto_itself_changes_nothing(self, files: Files) -> None:
        etag = files.put("k", b"x")

        assert etag == files.copy("k", "k")
        assert b"x" == files.get("k")

    def test_a_write_needs_the_current_etag_if_declared(self, files: Files) -> None:
        needs(files, FilesFeature.CONDITIONAL)
        first = files.put("k", b"1", if_etag="")
        second = files.put("k", io.BytesIO(b"2"), if_etag=first)
        for stale in (first, "", "unknown", "ü\n"):
            for content in (b"3", io.BytesIO(b"3")):
                with pytest.raises(ConflictError):
                    files.put("k", content, if_etag=stale)

        assert b"2" == files.get("k")
        files.delete("k")
        with pytest.raises(ConflictError):
            files.put("k", b"3", if_etag=second)
        assert files.stat("k") is None

    def test_a_conditional_write_is_refused_where_it_is_absent(self, files: Files) -> None:
        if files.features[FilesFeature.CONDITIONAL]:
            pytest.skip("has it")
        with pytest.raises(UnsupportedError, match="conditional"):
            files.put("k", b"x", if_etag="")

        assert files.stat("k") is None

    @pytest.mark.parametrize("is_there", [False, True], ids=["new", "changed"])
    def test_a_writer_that_comes_while_a_stream_is_read_wins(self, files: Files, is_there: bool) -> None:
        needs(files, FilesFeature.CONDITIONAL)

        def source() -> Iterator[bytes]:
            yield bytes(9 * MIB)
            files.put("k", b"theirs")

        etag = files.put("k", b"before") if is_there else ""
        with pytest.raises(ConflictError):
            files.put("k", source(), if_etag=etag)

        assert b"theirs" == files.get("k")

    @pytest.mark.parametrize("is_there", [False, True], ids=["new", "changed"])
    def test_one_of_many_writers_wins(self, connect: Connect, files: Files, is_there: bool) -> None:
        needs(files, FilesFeature.CONDITIONAL)
        etag = files.put("k", b"before") if is_there else ""

        def work(number: int) -> bool:
            with Files(connect()) as mine:
                return stores(mine, "k", b"%d" % number, etag)

        if files.features[FilesFeature.SHARED]:
            won = in_children(4, work)
        else:
            with ThreadPoolExecutor(4) as threads:
                won = list(threads.map(lambda number: stores(files, "k", b"%d" % number, etag), range(4)))

        assert b"%d" % won.index(True) == files.get("k")
        assert 1 == sum(won)
