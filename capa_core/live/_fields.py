"""Relaxed binding of keys of a document to fields: `max-connections`, `maxConnections` and `max_connections` are one.

Source: "Relaxed Binding" in the reference documentation of Spring Boot.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

_LISTS = (list, set, frozenset, tuple)


def fitted(data: Any, kind: Any) -> Any:
    """Return *data* with its keys renamed to the fields of *kind*, at every depth; keys that fit no field stay."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        kinds = [one for one in arguments if one is not type(None)]
        return fitted(data, kinds[0]) if len(kinds) == 1 else data
    if isinstance(data, list) and (origin or kind) in _LISTS and arguments:
        return [fitted(item, arguments[0]) for item in data]
    if isinstance(data, Mapping) and origin is dict and len(arguments) == 2:
        return {key: fitted(item, arguments[1]) for key, item in data.items()}
    if isinstance(data, Mapping) and isinstance(kind, type) and (fields := fields_of(kind)):
        return _renamed(data, fields)
    return data


def fields_of(kind: type) -> dict[str, Any]:
    """Return field → type of a dataclass or a pydantic model, by the names of its parameters; of other types, none."""
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}
    if (fields := getattr(kind, "model_fields", None)) is not None:
        return {field.alias or name: field.annotation for name, field in fields.items()}
    return {}


def _renamed(data: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    by_relaxed = {_relaxed(name): name for name in fields}
    found: dict[str, Any] = {}
    for key, item in data.items():
        name = key if key in fields else by_relaxed.get(_relaxed(key), key)
        if name == key or name not in data:  # an exact key wins over one that only resembles it
            found[name] = fitted(item, fields[name]) if name in fields else item
    return found


def _relaxed(name: str) -> str:
    return name.replace("-", "").replace("_", "").lower()
