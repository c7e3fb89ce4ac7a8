"""Engines as data: the `engine.toml` beside an engine's drivers.

    title = "Redis"             the name in the documentation
    extra = "redis"             the extra of its distribution that installs its library; absent without a library
    libraries = ["redis"]       the import names that only its component may import
    system = "redis"            `messaging.system` or `db.system.name` of OpenTelemetry
    most_urgent = "lowest"      which number legacy brokers of this engine serve first; "highest" by default
    reach = "machine"           what shares its data: the "process", the "machine", or all machines of its "network";
                                "network" by default

    [schemes.redis]             a scheme of its addresses
    port = 6379                 the port that an address without one means
    path = "0"                  the path that an address without one means
    tls = true                  whether the connection is encrypted; false by default
    served = false              whether the component connects to such an address; true by default

    [schemes.pyamqp]            an alias of a scheme, without other keys
    same_as = "amqp"

An engine without drivers also has the file if legacy code names its addresses. Another distribution is found by the
entry points of its drivers; its file is beside the driver's module or above, and has a `name` if that differs from
the folder's. The rewrite (`capa_codemods`) and the import contracts read the same files by themselves.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from capa_core.errors import SettingsError, nearest

FILE_NAME = "engine.toml"
_OWN = Path(__file__).parent / "components"

Reach = Literal["process", "machine", "network"]
"""The processes that share what an engine keeps."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """One scheme of an engine's addresses; the module's docstring explains the values."""

    name: str
    port: int | None = None
    path: str = ""
    tls: bool = False
    served: bool = True


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine; the module's docstring explains the values."""

    name: str
    title: str
    system: str
    extra: str | None = None
    libraries: tuple[str, ...] = ()
    most_urgent: Literal["lowest", "highest"] = "highest"
    reach: Reach = "network"
    schemes: Mapping[str, Scheme] = field(default_factory=dict)


@cache
def engines() -> Mapping[str, Engine]:
    """Return all engines by name: those in `capa_core/components` and those of installed packages.

    Raises:
        SettingsError: An engine.toml cannot be read, or has an unknown key.
    """
    own = map(_read, sorted(_OWN.glob(f"*/{FILE_NAME}")))
    return {engine.name: engine for engine in (*_of_other_distributions(), *own)}


def scheme_of(name: str) -> tuple[Engine, Scheme] | None:
    """Return the engine whose addresses begin with *name*, and the scheme that *name* spells; `None` if none has it."""
    found = (engine for engine in engines().values() if name in engine.schemes)
    return next(((engine, engine.schemes[name]) for engine in found), None)


@cache
def engine_of(module: str) -> Engine | None:
    """Return the engine that the driver in *module* speaks to, or `None` if its package has no engine.toml.

    The module is located but not imported.

    Raises:
        SettingsError: As `engines`.
    """
    return next((_read(path) for folder in _folders(module) if (path := folder / FILE_NAME).is_file()), None)


def system_of(driver: type) -> str:
    """Return the name of the engine of *driver* for OpenTelemetry; the class's own where no engine.toml has one."""
    engine = engine_of(driver.__module__)
    return engine.system if engine else driver.__name__.lower()


def title_of(driver: type) -> str:
    """Return the name of the engine of *driver* for people; the class's own where no engine.toml has one."""
    engine = engine_of(driver.__module__)
    return engine.title if engine else driver.__name__


def _of_other_distributions() -> list[Engine]:
    from importlib.metadata import entry_points

    found = entry_points()
    points = (
        point for group in found.groups if group.startswith("capa.") for point in found.select(group=group)
    )
    modules = {point.module for point in points if not point.module.startswith("capa_core.")}
    return [engine for module in sorted(modules) if (engine := engine_of(module)) is not None]


def _folders(module: str) -> Iterator[Path]:
    """Yield the folder of *module*, if it is a package, and those of the packages that it is in."""
    top, *rest = module.split(".")
    try:
        spec = find_spec(top)
    except ValueError:  # `__main__` has no specification
        return
    for location in (spec and spec.submodule_search_locations) or ():
        for depth in range(len(rest), -1, -1):
            yield Path(location, *rest[:depth])


@cache
def _read(path: Path) -> Engine:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        table["schemes"] = _schemes(table.pop("schemes", {}), path)
        table["libraries"] = tuple(table.pop("libraries", ()))
        engine: Engine = _filled(Engine, {"name": path.parent.name, **table}, path)
    except SettingsError:
        raise
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}. Correct it or remove its package.") from error
    if engine.reach not in get_args(Reach):
        raise SettingsError(
            f"{path}: unknown reach {engine.reach!r}.{nearest(engine.reach, get_args(Reach))}"
        )
    return engine


def _schemes(tables: Mapping[str, Any], path: Path) -> dict[str, Scheme]:
    spellings = {name: table["same_as"] for name, table in tables.items() if table.keys() == {"same_as"}}
    own = {
        name: _filled(Scheme, {"name": name, **table}, path)
        for name, table in tables.items()
        if name not in spellings
    }
    return own | {name: own[meant] for name, meant in spellings.items()}


def _filled(kind: Any, table: Mapping[str, Any], path: Path) -> Any:
    known = {each.name for each in fields(kind)}
    for key in table:
        if key not in known:
            raise SettingsError(f"{path}: unknown key {key!r}.{nearest(key, known)}")
    return kind(**table)
