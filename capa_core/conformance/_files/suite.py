"""Fixtures of the suite, and keys that may be taken for something else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import pytest

from capa_core.blocks.files import FilePage, Files, FilesDriver, FilesFeature
from capa_core.errors import (
    ConflictError,
)

Connect = Callable[[], FilesDriver[Any]]

MIB = 1024**2
LARGE_BYTES = 96 * MIB
"""Half as much again as the memory that a stream may need."""
STREAM_MEMORY_BYTES = 64 * MIB

ODD_KEYS = [
    "../up", "..", ".", "./a", "a/../../b", "/etc/passwd", "//", "/", "a//b", "folder/", " ", "a b ", "end.",
    "A", "a", "a.txt", "a/b", "a/b/c", "a-b", "a0", "é", "e\u0301", "🔑" * 192, "x" * 768, "x" * 300 + "/" + "y" * 300,
    "a\x00b", "\x7f", "line\nend", "%2e%2e/%2F", "100%", "%", "%%", "con", "NUL", "com1.txt", "C:\\x", "\\\\h\\s",
    "*?[a]", "'\"<>|&", "a+b", "#", "?q=1", ".capa-tmp", ".capa-meta-a", ".hidden", "~", "\ufeff", "\u202e",
]  # fmt: skip
"""Keys that a file system, an address or a shell may take for something else."""


class Suite(ABC):
    """The fixtures of all promises."""

    odd_keys: ClassVar[Sequence[str]] = ODD_KEYS
    """The keys to try. Leave out only those that a stand-in for the engine cannot hold, and say why."""

    @pytest.fixture
    @abstractmethod
    def connect(self) -> Connect:
        """Return a function that opens a driver on one set of files, empty now; each call opens another on it."""

    @pytest.fixture
    def driver(self, connect: Connect) -> Iterator[FilesDriver[Any]]:
        """Yield a driver."""
        driver = connect()
        yield driver
        driver.close()

    @pytest.fixture
    def files(self, driver: FilesDriver[Any]) -> Iterator[Files]:
        """Yield the portable type over the driver."""
        with Files(driver, name="conformance") as files:
            yield files


def needs(files: Files, feature: FilesFeature) -> None:
    """Skip the test where the component has no *feature*."""
    if not files.features[feature]:
        pytest.skip(f"has no {feature}")


def stores(files: Files, key: str, content: bytes, etag: str) -> bool:
    """Return whether a conditional put is done."""
    try:
        files.put(key, content, if_etag=etag)
    except ConflictError:
        return False
    return True


def shown(page: FilePage) -> tuple[list[str], list[str]]:
    """Return the keys and the prefixes of a page."""
    return [each.key for each in page.files], list(page.prefixes)
