"""The tool that sorts a project's imports, by its settings: an import that has moved may belong on another line.

The rewrite moves no line: its proof compares statements in their order.
"""

from __future__ import annotations

import tomllib
from typing import Any

from capa_codemods.api import read_file

_RUFF = "ruff check --select I --fix"
_ISORT = "isort"
_SORTING = frozenset({"I", "I0", "I00", "I001", "ALL"})


def import_sorter(root: str) -> str:
    """Return the command that sorts the imports of the tree at *root*; empty if its settings ask for none."""
    pyproject = _table(f"{root}/pyproject.toml").get("tool", {})
    ruff = [_table(f"{root}/{name}") for name in ("ruff.toml", ".ruff.toml")]
    if any(map(_sorts, [*ruff, pyproject.get("ruff", {})])):
        return _RUFF
    has_isort = (
        "isort" in pyproject or bool(_text(f"{root}/.isort.cfg")) or "[isort]" in _text(f"{root}/setup.cfg")
    )
    return _ISORT if has_isort else ""


def _sorts(settings: Any) -> bool:
    if not isinstance(settings, dict):
        return False
    tables = (settings, settings.get("lint", {}))
    listed = [
        table.get(key, [])
        for table in tables
        if isinstance(table, dict)
        for key in ("select", "extend-select")
    ]
    return any(not _SORTING.isdisjoint(map(str, one)) for one in listed if isinstance(one, list))


def _table(path: str) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path))
    except (ValueError, RecursionError):
        return {}  # whoever reads it for its settings reports it


def _text(path: str) -> str:
    try:
        return (read_file(path, follow_link=True) or b"").decode(errors="replace")
    except OSError:
        return ""
