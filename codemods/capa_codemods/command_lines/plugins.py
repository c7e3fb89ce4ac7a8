"""Modules that pytest loads because of options on a command line."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def plugins(words: Sequence[str]) -> list[str]:
    """Return the modules behind the `-p` of *words*, a call of pytest or options for one, as in `addopts`."""
    name = words[0].rpartition("/")[2] if words else ""
    if name not in {"pytest", "py.test"} and not name.startswith("-"):
        return []
    together = [word[2:] for word in words if word.startswith("-p") and len(word) > len("-p")]
    return together + [module for option, module in pairwise(words) if option == "-p"]
