"""Addresses of engines: their schemes, as the `engine.toml` of the installed components have them.

The format is described in `capa_core/engine.py`, which is not imported here: the files are data.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from capa_codemods.discovery import engine_files


class Scheme(NamedTuple):
    """One scheme: its default port and path, and the driver for its addresses.

    Attributes:
        driver: Its name in capa.toml; empty if no driver connects to such an address.
    """

    driver: str = ""
    port: int = 0
    path: str = ""
    tls: bool = False


def scheme(name: str) -> Scheme:
    """Return the scheme *name*; None for one that no engine has."""
    return _schemes().get(name, Scheme())


@cache
def _schemes() -> dict[str, Scheme]:
    found: dict[str, Scheme] = {}
    for path in engine_files():
        with open(path, "rb") as file:
            table = tomllib.load(file)
        driver = table.get("name", os.path.basename(os.path.dirname(path)))
        schemes = table.get("schemes", {})
        found |= {name: _scheme(driver, schemes, each) for name, each in schemes.items()}
    return found


def _scheme(driver: str, schemes: Mapping[str, Any], table: Mapping[str, Any]) -> Scheme:
    meant = schemes.get(table.get("same_as", ""), table)
    return Scheme(
        driver if meant.get("served", True) else "",
        meant.get("port", 0),
        meant.get("path", ""),
        meant.get("tls", False),
    )
