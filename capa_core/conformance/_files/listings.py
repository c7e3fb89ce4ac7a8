"""Listings: by prefix, by folder, in pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from capa_core.blocks.files import Files
from capa_core.conformance._files.suite import (
    Connect,
    Suite,
    shown,
)
from capa_core.errors import (
    InvalidArgumentError,
)


class ListingPromises(Suite):
    """The promises of listings."""

    def test_files_are_listed_by_prefix_in_the_order_of_their_keys(self, files: Files) -> None:
        keys = ["a", "a-b", "a/", "a/b", "a/b/c", "a/é", "a0", "aé", "b", "é", "\uffff", "🔑"]
        for key in reversed(keys):
            files.put(key, key.encode())

        for prefix in ("", "a", "a/", "a/b", "a/b/", "b", "c", "\uffff", "a/b/c/d"):
            expected = [(key, len(key.encode())) for key in keys if key.startswith(prefix)]

            assert expected == [(each.key, each.size) for each in files.scan(prefix)]

    def test_a_listing_tells_what_stat_tells(self, files: Files) -> None:
        files.put("k", b"abc", metadata={"a": "b"})
        (entry,) = files.scan()
        info = files.stat("k")

        assert info is not None
        assert (info.etag, info.size) == (entry.etag, entry.size)
        assert abs(info.modified_at - entry.modified_at) < timedelta(seconds=1)

    def test_folders_are_shown_once(self, files: Files) -> None:
        for key in ("a", "a/b", "a/c", "a/d/e", "a/d/f", "b", "c/d/e"):
            files.put(key, b"x")
        found = {
            prefix: shown(files.page(prefix, delimiter="/")) for prefix in ("", "a", "a/", "a/d", "a/d/")
        }

        assert {
            "": (["a", "b"], ["a/", "c/"]),
            "a": (["a"], ["a/"]),
            "a/": (["a/b", "a/c"], ["a/d/"]),
            "a/d": ([], ["a/d/"]),
            "a/d/": (["a/d/e", "a/d/f"], []),
        } == found

    @pytest.mark.parametrize("delimiter", ["", "/"], ids=["all", "folders"])
    @pytest.mark.parametrize("most", [1, 2, 5])
    def test_pages_follow_each_other(self, connect: Connect, files: Files, delimiter: str, most: int) -> None:
        """Each shows a key or a prefix once, also to another process, and while what was shown is deleted."""
        for key in ("a", "a-", "a/", "a/b", "a/c", "b/c/d", "b/c/e", "c", "d/", "d/e"):
            files.put(key, b"x")
        whole = shown(files.page(delimiter=delimiter))
        seen: tuple[list[str], list[str]] = [], []
        token, sizes = "", []
        while True:
            page = files.page(delimiter=delimiter, token=token, most=most)
            sizes.append(len(page.files) + len(page.prefixes))
            for found, part in zip(seen, shown(page), strict=True):
                found.extend(part)
            files.delete_many(each.key for each in page.files)
            if not (token := page.token):
                break

        assert whole == seen
        assert max(sizes) <= most

    def test_more_files_than_a_page_are_listed(self, monkeypatch: pytest.MonkeyPatch, files: Files) -> None:
        monkeypatch.setattr(files, "_files_per_page", 4)
        keys = [f"k{number:02}" for number in range(11)]
        for key in keys:
            files.put(key, b"12")
        status = files.inspect(most=5)

        assert keys == [each.key for each in files.scan()]
        assert (5, 10, False) == (status.files, status.size_bytes, status.complete)

    @pytest.mark.parametrize(
        "wrong",
        [{"prefix": None}, {"prefix": "\ud800"}, {"prefix": "x" * 769}, {"delimiter": "-"}, {"most": 0}, {"most": 1001},
         {"token": None}],
        ids=repr,
    )  # fmt: skip
    def test_a_wrong_page_is_refused(self, files: Files, wrong: Any) -> None:
        with pytest.raises(InvalidArgumentError):
            files.page(**wrong)

    def test_the_content_is_counted(self, files: Files) -> None:
        for key in ("a", "b/c"):
            files.put(key, b"123")
        status = files.inspect()

        assert (2, 6, True) == (status.files, status.size_bytes, status.complete)
        assert "2 files" == files.summary()
