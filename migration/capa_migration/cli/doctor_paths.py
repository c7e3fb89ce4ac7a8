"""Paths in the output of `capa doctor`."""

from __future__ import annotations

import os
import re

_ABSOLUTE = re.compile(r"(?<![\w.:/-])/[^\s:,;()]+")


def relative_to_here(text: str) -> str:
    """Return *text* with each absolute path in it relative to the current folder, where that is shorter."""
    return _ABSOLUTE.sub(lambda found: min(found[0], os.path.relpath(found[0]), key=len), text)
