"""Files of tests, by their paths or by what they import."""

from __future__ import annotations

import re

_PATH = re.compile(r"(?:^|/)(?:tests?/|conftest\.|test_|[^/]*_tests?\.|tests?\.)")
_WORDS = re.compile(rb"\b(?:unittest|mock|mocker|monkeypatch|pytest)\b")


def is_test(path: str, data: bytes) -> bool:
    """Return whether the file at *path*, which holds *data*, belongs to tests."""
    return is_test_path(path) or _WORDS.search(data) is not None


def is_test_path(path: str) -> bool:
    """Return whether the file at *path* belongs to tests by its name or its folder."""
    return _PATH.search(path) is not None
