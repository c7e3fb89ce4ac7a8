"""Construction of a component: from a settings table to a driver and the portable object over it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from capa_core.call import Policy
from capa_core.errors import CapaError, NotFoundError, SettingsError, UnknownNameError
from capa_core.runtime import _references
from capa_core.runtime._registry import broken, driver_type, drivers
from capa_core.runtime._settings import ComponentTable, check_kinds, explain, fields_by_key, unknown_keys
from capa_core.secret import FreshSecret, Secret

if TYPE_CHECKING:
    from capa_core.block import Block
    from capa_core.blocks.invocation import Application
    from capa_core.driver import Driver
    from capa_core.runtime._runtime import Runtime


def build(runtime: Runtime, block: Block, name: str, hosted: Application | None) -> Any:
    """Return the portable object for *name*, with its driver made but not connected."""
    if hosted is not None:
        driver: Driver[Any] = _driver(runtime, block, name, ComponentTable(driver="memory"), ())
        driver.attach(hosted)  # type: ignore[attr-defined]  # the memory driver of invocation has it
        table = ComponentTable()
    else:
        owner, table = runtime.loaded.table(block.name, name) or (name, ComponentTable())
        driver = _driver(runtime, block, name, table, (block.name, owner))
    attempt_s = table.attempt_s or getattr(driver.settings, "timeout_s", None) or math.inf
    policy = Policy(deadline_s=table.deadline_s, attempt_s=attempt_s, retries=table.retries)
    more = {"folder": runtime.folder} if block.keeps_files else {}
    portable_type: Any = (
        block.portable
    )  # it takes the arguments of its block, which differ from those of `Portable`
    return portable_type(driver, name=name, policy=policy, **more)


def _driver(
    runtime: Runtime, block: Block, name: str, table: ComponentTable, path: tuple[str, ...]
) -> Driver[Any]:
    place = runtime.loaded.origin(*path, "driver")
    kind = driver_type(block, table.driver or block.embedded, place)
    given = table.driver_settings()
    known = kind.settings_type.model_fields
    filled = {"folder": runtime.folder, "root": runtime.root, "service": name}
    settings = validated(
        runtime, kind.settings_type, given, path, {k: v for k, v in filled.items() if k in known}
    )
    if "folder" in known and "folder" not in given and runtime.folder.is_dir():
        runtime.own_folder()  # else its first file makes it: to look at a component must leave no trace
    try:
        return kind(settings)
    except SettingsError as error:
        raise type(error)(f"{place}: {error}") from error
    except (CapaError, OSError):
        raise
    except Exception as error:
        raise broken(drivers(block)[table.driver or block.embedded], place, error) from error


def validated(
    runtime: Runtime,
    model: type[BaseModel],
    given: Mapping[str, Any],
    path: tuple[str, ...],
    filled: Mapping[str, Any] | None = None,
) -> Any:
    """Return *given*, with references resolved, over *filled* as a *model*.

    Raises:
        UnknownNameError: A key is not one of *model*'s.
        SettingsError: A value is invalid; the message names its place and not the value.
    """
    unknown_keys(given, model, runtime.loaded, path)
    fields = fields_by_key(model)
    values = {
        key: _resolved(runtime, fields[key].annotation, value, (*path, key)) for key, value in given.items()
    }
    if isinstance(values.get("folder"), str | Path):  # as of capa.toml, whatever folder the program runs in
        values["folder"] = runtime.root / values["folder"]
    try:
        settings = model(**{**(filled or {}), **values})
    except ValidationError as error:
        raise explain(error, runtime.loaded.merged, path) from None
    check_kinds(settings, given, runtime.loaded.merged, path)
    return settings


def _resolved(runtime: Runtime, annotation: Any, value: Any, path: tuple[str, ...]) -> Any:
    """Return *value* with its references resolved; for a field of `FreshSecret`, at each use."""

    def resolved() -> Any:
        place = runtime.loaded.origin(*path)
        return _references.resolve(value, place, runtime.environ, _secret_of(runtime, path))

    has_reference = isinstance(value, str) and _references.REFERENCE.search(value)
    if has_reference and FreshSecret in (annotation, *get_args(annotation)):
        return FreshSecret(lambda: Secret(resolved()))
    return resolved()


def _secret_of(runtime: Runtime, path: tuple[str, ...]) -> _references.SecretReader:
    def read(name: str, field: str) -> str:
        place = runtime.loaded.origin(*path)
        if path[:1] == ("secrets",):
            raise SettingsError(f"{place}: a secrets component cannot take its own settings from secrets")
        try:
            return str(runtime.secrets().get(name, field=field).reveal())
        except NotFoundError as error:
            raise SettingsError(f"{place}: {error}") from error
        except UnknownNameError as error:
            raise UnknownNameError(f"{place} refers to secret {name!r}, but {error}") from error

    return read
