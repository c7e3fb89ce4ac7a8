"""Scripts in Python whose name does not say so: their first line does."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable

from capa_codemods.read.files import open_regular

_FIRST_LINE = re.compile(rb"#![^\r\n]*(?:python|pypy|\b(?:uv|pipx)[ \t]+run\b)")
_HEAD_BYTES = 256


def may_be_script(path: str) -> bool:
    """Return whether the file at *path* has no suffix, as many scripts have none: its first line has to be read."""
    return path.rfind(".") <= path.rfind("/")


def is_script(data: bytes) -> bool:
    """Return whether the first line of *data* names Python, or a program that runs it."""
    return data.startswith(b"#!") and _FIRST_LINE.match(data) is not None


def find_scripts(root: str, paths: Iterable[str], named: Collection[str] = ()) -> frozenset[str]:
    """Return those of *paths*, relative to *root*, that have no suffix or are *named*, and are scripts in Python."""
    return frozenset(
        path
        for path in paths
        if (may_be_script(path) or path in named) and is_script(_head(f"{root}/{path}"))
    )


def _head(place: str) -> bytes:
    try:
        opened = open_regular(place)
    except OSError:
        return b""  # what the user named is reported, and of all others this is no more than a guess
    if opened is None:
        return b""
    try:
        return os.read(opened[0], _HEAD_BYTES)
    finally:
        os.close(opened[0])
