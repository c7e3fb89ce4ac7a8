"""The component that `--component` names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capa_migration.errors import OptionsError

if TYPE_CHECKING:
    from capa_core import Runtime


def check_named(runtime: Runtime, block: str, name: str) -> None:
    """Check that a table serves *name*, where *block* has tables.

    Raises:
        OptionsError: None does; the message names the options that lead to one.
    """
    tables = runtime.loaded.tables(block)
    if tables and not tables.keys() & {name, "default"}:
        options = " or ".join(f"--component {each}" for each in tables)
        raise OptionsError(f"{runtime.loaded.where()} has no [{block}.{name}]: give {options}")
