"""The rules: one file each. A new file here is a new rule; nothing else names it."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import Any

from capa_codemods.discovery import rule_entries
from capa_codemods.rule import Rule


@cache
def all_rules() -> tuple[Rule[Any], ...]:
    """Return one of each rule: those of this folder, then those that other packages register, by id."""
    classes: list[type[Rule[Any]]] = []
    for module in pkgutil.iter_modules(__path__, f"{__name__}."):
        classes += [
            value for value in vars(import_module(module.name)).values() if _is_rule(value, module.name)
        ]
    classes += [entry.load() for entry in rule_entries()]
    return tuple(sorted((cls() for cls in classes), key=lambda rule: rule.id))


def _is_rule(value: object, module: str) -> bool:
    return isinstance(value, type) and issubclass(value, Rule) and value.__module__ == module
