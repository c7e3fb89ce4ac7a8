"""Attributes by which a module tells its name and its place: those of an adapter's module are not the original's.

logging.getLogger(requests.__name__)     names the logger "capa_requests" after the rewrite
"""

from __future__ import annotations

from collections.abc import Mapping

from capa_codemods.sdks.import_map import ImportMap, NameLine

MODULE_NAMES = ("__file__", "__name__", "__package__", "__path__", "__spec__")


def line_of_module_name(dotted: str, modules: Mapping[str, str], owner: ImportMap | None) -> NameLine | None:
    """Return the line about *dotted* if it is such an attribute of one of *modules*, those that move; else None."""
    module, _, attribute = dotted.rpartition(".")
    if owner is None or attribute not in MODULE_NAMES or module not in modules:
        return None
    found = f'importlib.util.find_spec("{module}")'
    return NameLine(
        dotted,
        "partial",
        f"it is that of `{modules[module]}`",
        f"docs/differences/{owner.name}.md#module-names",
        instead=f'`"{module}"`'
        if attribute == "__name__"
        else f"`{found}` with `# capa: ignore[strings]`, which finds the original",
        changes=True,
    )
