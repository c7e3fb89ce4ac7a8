"""Files of tests, by their paths or by what they import."""

from __future__ import annotations

import re

from capa_codemods.sdks.word_search import search_for

_PATH = re.compile(r"(?:^|/)(?:tests?/|conftest\.|test_|[^/]*_tests?\.|tests?\.)")
_WORDS = (b"unittest", b"mock", b"mocker", b"monkeypatch", b"pytest")
_may_hold = search_for(_WORDS)
_WHOLE_WORD = re.compile(rb"\b(?:" + b"|".join(_WORDS) + rb")\b")


def is_test(path: str, data: bytes) -> bool:
    """Return whether the file at *path*, which holds *data*, belongs to tests."""
    # The words are found many times as fast as the pattern, and most files hold none.
    return is_test_path(path) or (_may_hold(data) and _WHOLE_WORD.search(data) is not None)


def is_test_path(path: str) -> bool:
    """Return whether the file at *path* belongs to tests by its name or its folder."""
    return _PATH.search(path) is not None
