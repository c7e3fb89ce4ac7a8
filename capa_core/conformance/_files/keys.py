"""Keys: each is a file of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from capa_core.blocks.files import Files
from capa_core.conformance._files.suite import (
    Suite,
)
from capa_core.errors import (
    InvalidArgumentError,
)


class KeyPromises(Suite):
    """The promises of keys."""

    def test_each_key_is_a_file_of_its_own(self, files: Files) -> None:
        for number, key in enumerate(self.odd_keys):
            files.put(key, b"%d" % number, metadata={"n": str(number)})
        expected = {key: b"%d" % number for number, key in enumerate(self.odd_keys)}
        infos = [files.stat(key) for key in self.odd_keys]

        assert expected == {key: files.get(key) for key in self.odd_keys}
        assert [str(number) for number in range(len(self.odd_keys))] == [
            each and each.metadata["n"] for each in infos
        ]
        assert set(self.odd_keys) == {each.key for each in files.scan()}
        for key in self.odd_keys:
            files.delete(key)
        assert ([], []) == ([each.key for each in files.scan()], list(files.page(delimiter="/").prefixes))

    def test_a_file_and_a_folder_of_one_name_live_side_by_side(self, files: Files) -> None:
        """Whichever comes first, and whichever goes first."""
        for first, second in (("a", "a/b"), ("c/d", "c")):
            files.put(first, first.encode(), metadata={"is": first})
            files.put(second, second.encode(), metadata={"is": second})
        read = {each.key: files.get(each.key).decode() for each in files.scan()}
        page = files.page(delimiter="/")
        kept = [info.metadata["is"] for key in ("a", "a/b", "c", "c/d") if (info := files.stat(key))]
        files.delete("a/b")
        files.delete("c")
        files.put("a", b"again")

        assert {key: key for key in ("a", "a/b", "c", "c/d")} == read
        assert (["a", "c"], ["a/", "c/"]) == ([each.key for each in page.files], list(page.prefixes))
        assert ["a", "a/b", "c", "c/d"] == kept
        assert (b"again", b"c/d", ["a", "c/d"]) == (
            files.get("a"),
            files.get("c/d"),
            [each.key for each in files.scan()],
        )

    @pytest.mark.parametrize("key", ["", "x" * 769, "🔑" * 193, "half \ud800 pair", b"bytes", None], ids=repr)
    def test_an_invalid_key_is_refused(self, files: Files, key: Any) -> None:
        calls: list[Callable[[Any], object]] = [
            files.get, files.stat, files.delete, files.open, lambda key: files.put(key, b"x"),
            lambda key: files.copy(key, "k"), lambda key: files.copy("k", key), lambda key: files.delete_many([key]),
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(InvalidArgumentError):
                call(key)
