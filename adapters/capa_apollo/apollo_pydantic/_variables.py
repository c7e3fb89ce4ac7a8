"""The keys of a namespace as variables of the environment, which pydantic-settings reads."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings

_ITEM = re.compile(r"(?P<name>[\w\-.]+)\[(?P<index>\d+)\]")


def variables(cls: type[BaseSettings], held: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of *held* for *cls*: `a.b` is `APOLLO_a__b`, `a[0]` and `a[1]` are one list.

    A key that is an alias of a field is not prefixed. Names are in lower case unless the class is sensitive to it.
    """
    config: Mapping[str, Any] = cls.model_config
    prefix, aliases = config.get("env_prefix") or "", _aliases(cls)
    found: dict[str, str] = {}
    lists: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for key, text in held.items():
        name = key.replace(".", config.get("env_nested_delimiter") or "__")
        if item := _ITEM.fullmatch(name):
            lists[item["name"]].append((int(item["index"]), text))
        else:
            found[name if key in aliases else f"{prefix}{name}"] = text
    for name, items in lists.items():
        found[name if name in aliases else f"{prefix}{name}"] = json.dumps(
            [text for _, text in sorted(items)]
        )
    return found if config.get("case_sensitive") else {name.lower(): text for name, text in found.items()}


def _aliases(cls: type[BaseSettings]) -> set[str]:
    given = [one for field in cls.model_fields.values() for one in (field.alias, field.validation_alias)]
    return {name for one in given if one is not None for name in _names(one)}


def _names(alias: Any) -> list[str]:
    if isinstance(alias, str):
        return [alias]
    if (choices := getattr(alias, "choices", None)) is not None:
        return [name for one in choices for name in _names(one)]
    return [str(alias.path[0])]
