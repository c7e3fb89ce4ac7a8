"""Replacements of names that are not served, as the column `instead` of the import maps has it."""

from __future__ import annotations

from collections import defaultdict
from functools import cache

from capa_codemods.api import CommandLine, NameLine, reason_id


def with_instead(text: str, ident: str) -> str:
    """Return *text*, the explanation of the reason *ident*, with what to use instead of the names under it."""
    from capa_codemods.api import import_map_paths

    found = _by_reason(tuple(import_map_paths())).get(ident, {})
    lines = [
        f"- {use}: in place of {', '.join(f'`{name}`' for name in names)}" for use, names in found.items()
    ]
    return "\n".join([text, "", "Use instead:", "", *lines]) if lines else text


@cache
def _by_reason(installed: tuple[str, ...]) -> dict[str, dict[str, list[str]]]:  # noqa: ARG001 - the key of the cache
    """Return for each ID of a reason what to use, each with the names in whose place; *installed* are the maps."""
    from capa_migration.rewrite.scan.survey import known_maps

    found: defaultdict[str, dict[str, list[str]]] = defaultdict(dict)
    for owner in known_maps():
        lines: list[NameLine | CommandLine] = [*owner.names, *owner.commands]
        for line in (one for one in lines if one.instead and one.support == "none"):
            argument = getattr(line, "argument", None)
            name = f"{line.name}({argument}=)" if argument else line.name
            ident = reason_id(line.see) if line.see else "unserved"
            found[ident].setdefault(line.instead, []).append(name)
    return found
