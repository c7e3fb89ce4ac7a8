"""The settings of a runtime as validated values, each with its origin."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from capa_core.block import block_names
from capa_core.errors import SettingsError, UnknownNameError, nearest
from capa_core.runtime._fallback import no_fallback, refusal
from capa_core.runtime._layers import (
    Layer,
    Merged,
    check_sections,
    environment_layer,
    file_layers,
    find_file,
    merge,
)
from capa_core.runtime._references import REFERENCE
from capa_core.runtime._registry import adapters

_NO_TABLE = "must be a table: each component has one of its own, such as [{}.default]"


class ComponentTable(BaseModel):
    """One `[<block>.<name>]` table: the settings that all drivers share; other keys belong to the driver."""

    model_config = ConfigDict(extra="allow", frozen=True)

    driver: str | None = None
    legacy: tuple[str, ...] = Field(default=(), repr=False)
    deadline_s: float = Field(default=10.0, gt=0)
    attempt_s: float | None = Field(default=None, gt=0)
    retries: int = Field(default=3, ge=0, le=100)

    def driver_settings(self) -> dict[str, Any]:
        """Return the settings of the driver."""
        return dict(self.model_extra or {})

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Leave the driver's own keys out: any of them may be secret."""
        own = type(self).model_fields
        return (pair for pair in super().__repr_args__() if pair[0] in own)


Tables = dict[str, ComponentTable]


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class CapaSettings(BaseModel):
    """The settings that belong to no block. `load` adds the sections of the blocks and merges the layers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: str | None = None
    embedded: bool | None = None
    drain_s: float = Field(default=10.0, ge=0)
    adapters: dict[str, dict[str, Any]] = Field(default={}, repr=False)
    bridges: dict[str, dict[str, Any]] = Field(default={}, repr=False)
    requires: dict[str, Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]] = {}


@cache
def _settings_type() -> type[CapaSettings]:
    """Return the model of all settings: a section of tables for each block, besides the fixed settings."""
    sections: dict[str, Any] = {name: (Tables, {}) for name in block_names()}
    return create_model("CapaSettings", __base__=CapaSettings, **sections)


class Loaded(BaseModel):
    """Settings with their origins."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    settings: CapaSettings
    file: Path | None
    profile: str | None
    merged: Merged

    def origin(self, *path: str) -> str:
        """Return the origin of the value at *path*, or of the nearest table above it, or `default`."""
        for length in range(len(path), 0, -1):
            if place := self.merged.origins.get(path[:length]):
                return place
        return "default"

    def tables(self, block: str) -> Tables:
        """Return the tables of *block* by logical name; none if its embedded default serves all names."""
        tables: Tables = getattr(self.settings, block)
        return tables

    def table(self, block: str, name: str) -> tuple[str, ComponentTable] | None:
        """Return the table that serves *name* and its own name; `None` if the embedded default serves it.

        Raises:
            UnknownNameError: The block is configured, but neither for *name* nor for `default`; or it is not
                configured and has no embedded default here (see `capa_core.runtime._fallback`).
        """
        tables = self.tables(block)
        for candidate in (name, "default"):
            if candidate in tables:
                return candidate, tables[candidate]
        if tables:
            raise UnknownNameError(self._no_table(block, name))
        if reason := no_fallback(self):
            raise UnknownNameError(refusal(self, block, name, reason))
        return None

    def _no_table(self, block: str, name: str) -> str:
        wanted = " and ".join(f"no [{block}.{each}]" for each in dict.fromkeys((name, "default")))
        add = "that table" if name == "default" else "one of the two tables"
        return f"{self.where()}: {wanted}.{nearest(name, self.tables(block))} Add {add}, or use a name that has one."

    def where(self) -> str:
        """Return the path of capa.toml, or a text that reports its absence, for messages."""
        return str(self.file) if self.file else "settings (no capa.toml)"


def load(
    code: Mapping[str, Any] | None,
    *,
    file: Path | None,
    start: Path | None,
    profile: str | None,
    environ: Mapping[str, str],
) -> Loaded:
    """Read capa.toml, its profile, the environment and *code*, the later over the earlier.

    Args:
        code: A tree of the shape of capa.toml.
        file: The file to read; `None` looks for `CAPA_CONFIG`, then for a capa.toml in *start* and
            above; there is no search if *start* is `None`.
        profile: Wins over the `profile` in *code*, which wins over `CAPA_PROFILE` and the file's own.

    Raises:
        SettingsError: A file cannot be read or a value is invalid; the message names its place.
        UnknownNameError: A key, profile, adapter or variable is not known.
    """
    path = file or _configured(environ) or (find_file(start) if start else None)
    wanted = profile or (code or {}).get("profile") or environ.get("CAPA_PROFILE") or None
    layers: list[Layer] = []
    if path is not None:
        layers, wanted = file_layers(path, wanted)
    elif wanted is not None:
        raise SettingsError(
            f"profile {wanted!r} was requested, but there is no capa.toml in {start} or above."
            " Create it, set CAPA_CONFIG, or unset CAPA_PROFILE."
        )
    layers.append(environment_layer(environ, merge(layers).tree))
    if code is not None:
        check_sections(code, "code")
        layers.append(Layer(code, "code: {key}"))
    merged = merge(layers)
    _check_adapters(merged)
    return Loaded(settings=_validated(merged), file=path, profile=wanted, merged=merged)


def _configured(environ: Mapping[str, str]) -> Path | None:
    named = environ.get("CAPA_CONFIG")
    return Path(os.path.expanduser(named)).absolute() if named else None  # noqa: PTH111 - `~` only


def _validated(merged: Merged) -> CapaSettings:
    try:
        settings = _settings_type()(**merged.tree)
    except ValidationError as error:
        raise explain(error, merged, ()) from None  # its text contains the value, which may be secret
    check_kinds(settings, merged.tree, merged, ())
    for block in block_names():
        for name, table in getattr(settings, block).items():
            check_kinds(table, merged.tree[block][name], merged, (block, name))
    return settings


def check_kinds(model: BaseModel, given: Mapping[str, Any], merged: Merged, path: tuple[str, ...]) -> None:
    """Check for what pydantic converts: infinite numbers, true for 1, and in a file or code `"yes"` for true.

    Args:
        given: The values from which *model* was made, before references are resolved.

    Raises:
        SettingsError: The message names the place.
    """
    for key in model.model_fields_set & set(given):
        value, found = given[key], getattr(model, key)
        place = merged.origins.get((*path, key), ".".join((*path, key)))
        if isinstance(found, float) and not math.isfinite(found):
            raise _wrong(place, "must be a finite number")
        if isinstance(value, bool) and isinstance(found, int | float) and not isinstance(found, bool):
            raise _wrong(place, "must be a number, not true or false")
        # Variables and references have no other form than text.
        is_text = (
            isinstance(value, str) and not REFERENCE.search(value) and not place.startswith("environment:")
        )
        if is_text and isinstance(found, bool):
            raise _wrong(place, "must be true or false, without quotes")


def _check_adapters(merged: Merged) -> None:
    for name in merged.tree.get("adapters", {}):
        if name not in adapters():
            raise UnknownNameError(
                f"{merged.origins['adapters', name]}: no adapter {name!r} is installed.{nearest(name, adapters())}"
            )


def explain(error: ValidationError, merged: Merged, path: tuple[str, ...]) -> SettingsError:
    """Return pydantic's first error with its place, and without the value, which may be secret."""
    first = error.errors(include_input=False, include_url=False)[0]
    spot = (*path, *(str(part) for part in first["loc"]))
    places = (merged.origins.get(spot[:length]) for length in range(len(spot), 0, -1))
    place = next(filter(None, places), ".".join(spot))
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return _wrong(place, f"{_reason(first, spot)}{more}")


def _reason(first: Any, spot: tuple[str, ...]) -> str:
    """Return pydantic's text as the rest of a sentence that begins with the place."""
    if first["type"] == "model_type":
        return _NO_TABLE.format(".".join(spot[:1]))
    if first["type"] == "value_error":  # of one of our own checks
        return str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    text = str(first["msg"]).rstrip(".").replace("a valid tuple", "a list")
    if text.startswith("Input should "):
        return "must " + text.removeprefix("Input should ")
    return text[:1].lower() + text[1:]


def _wrong(place: str, reason: str) -> SettingsError:
    return SettingsError(f"{place}: {reason}. Nothing was started; correct the setting.")


def fields_by_key(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of *model* by their keys in `capa.toml`."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def unknown_keys(
    given: Mapping[str, Any], model: type[BaseModel], loaded: Loaded, path: tuple[str, ...]
) -> None:
    """Check that *model* has all keys of *given*.

    Raises:
        UnknownNameError: The message names the key, its place and the nearest match.
    """
    known = fields_by_key(model).keys()
    for key in given:
        if key not in known:
            common = set(ComponentTable.model_fields) if path[0] in block_names() else set()
            raise UnknownNameError(
                f"{loaded.origin(*path, key)}: unknown key {key!r}.{nearest(key, known | common)}"
            )
